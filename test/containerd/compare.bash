# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The same commands under each runtime, and what they said held against each other. A case is a
# function that calls these:
#   step ARGS...       ctr ARGS in NS, recorded: stdout, stderr, exit status. Its stdin is $STDIN
#                      (/dev/null)
#   step_launch [OPTION...] -- COMMAND...   as `launch`, recorded
#   step_terminal [EXPECT=SEND...] -- ARGS...   ctr ARGS in a terminal, as terminal.py has it
#   slow_input TEXT    the FIFO T/input, for STDIN: TEXT (as printf has it) and its end come once the
#                      container has made /share/ready. ctr 1.6 overlooks an end that comes sooner
#   note WORDS...      a line of the record
#   note_file FILE     its lines, for the record
#   note_until WORDS CMD...   waits for CMD to succeed; what did not come is a line of the record
#
# compare CASE ROW    runs the case under each runtime with a namespace of its own, records the events
#                     that `ctr events` told of it as well, and compares. It fails on any difference
#                     that is not one of
# allow KEY REGEX     a line of `diff reference ours` that may be, for the reason that KEY has in README,
#                     "Where cleat answers differently"; KEY may be `ours:WORDS` for what the case itself
#                     explains. Said in a test before `compare`. One that is not seen fails too
#
# In the record pids are told by the order in which the events name them, times, the namespace, the
# runtime's name and the folders of ctr's FIFOs by a word; columns are as wide as they happen to be.
#
# Subtle: a record is complete only once the shim is gone, since it hands over its events until then.

declare -a ALLOWED=()
STDIN=/dev/null

allow() { # KEY REGEX
	ALLOWED+=("$1 $2")
}

note() {
	printf '%s\n' "$*" >>"$RECORD"
}

note_file() { # FILE
	sed 's/^/file: /' "$1" >>"$RECORD" 2>&1 || note "no ${1##*/}"
}

note_until() { # WORDS CMD...
	local words=$1

	shift
	wait_for 10 "$@" 2>/dev/null || note "not within the time: $words"
}

slow_input() { # TEXT
	rm -f "$T/input" "$T/share/ready"
	mkfifo "$T/input"
	background input bash -c 'exec 9>"$2/input"
		until [[ -e $2/share/ready ]]; do sleep 0.02; done; printf "$1" >&9' sh "$1" "$T"
}

step() {
	local code=0

	note "\$ ctr $*"
	ctr "$@" <"$STDIN" >"$T/step.out" 2>"$T/step.err" || code=$?
	sed 's/^/out: /' "$T/step.out" >>"$RECORD"
	sed 's/^/err: /' "$T/step.err" >>"$RECORD"
	note "exit $code"
	CODES+=" $code"
}

step_launch() {
	local ARGS

	launch_args "$@"
	fifos
	step "${ARGS[@]}"
}

step_terminal() {
	local script=() code=0

	while [[ $1 != -- ]]; do
		script+=("$1")
		shift
	done
	shift
	note "terminal: ctr $*"
	"$BATS_TEST_DIRNAME/terminal.py" "${script[@]}" -- ctr --address "$T/c.sock" --namespace "$NS" "$@" \
		</dev/null >"$T/step.out" 2>&1 3>&- || code=$?
	sed 's/^/out: /; s/\r/\\r/g' "$T/step.out" >>"$RECORD"
	note "exit $code"
	CODES+=" $code"
}

# --- one record ---

# Each pid that an event names, with its number.
pids_named() {
	events | grep -o '"pid":[0-9]*' | cut -d: -f2 | awk '!seen[$1]++ { print $1, NR }' |
		awk '{ print $1, NR }'
}

normalise() { # FILE
	local edit='' pid n

	while read -r pid n; do
		edit+="s/\\b$pid\\b/<pid $n>/g;"
	done < <(pids_named)
	# shellcheck disable=SC2016
	sed -E -e "$edit" -e "s/$NS/<ns>/g" -e "s/${R//./\\.}/<runtime>/g" \
		-e 's/20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{8,18}( \+0000 UTC|Z)/<time>/g' \
		-e 's/0001-01-01T00:00:00Z/<no time>/g' \
		-e 's#/fifo/[0-9]+/#/fifo/N/#g' -e '/^(out|file): /s/ {2,}/  /g' "$1"
}

record() { # CASE
	CODES=
	RECORD=$T/$WHO.record
	: >"$RECORD"
	"$1" || note "the case itself ended with $?"
	forget c d
	events_complete 2>/dev/null || note "events did not come to an end"
	events | sed 's/^/event: /' >>"$RECORD"
	normalise "$RECORD" >"$RECORD.told"
}

# --- against the reference ---

# Prints what differs and is not allowed; sets USED[i] for what is, and KEYS.
unexplained() { # FILE
	local line i found

	while IFS= read -r line; do
		[[ $line == [\<\>]* ]] || continue
		found=
		for i in "${!ALLOWED[@]}"; do
			[[ $line =~ ${ALLOWED[i]#* } ]] || continue
			USED[i]=1
			found=${ALLOWED[i]%% *}
			break
		done
		if [[ ! $found ]]; then
			echo "$line"
		elif [[ " $KEYS " != *" $found "* ]]; then
			KEYS+=" $found"
		fi
	done <"$1"
}

explained() { # KEY
	[[ $1 == ours:* ]] || grep -q "^| \`$1\` |" "$BATS_TEST_DIRNAME/../../README.md"
}

against_reference() { # ROW
	local word=same i result=0
	local -a USED=()
	local KEYS=

	diff "$T/reference.record.told" "$RECORD.told" >"$T/$WHO.diff" || true
	unexplained "$T/$WHO.diff" >"$T/$WHO.unexplained"
	[[ ! $KEYS ]] || word="same but$KEYS"
	for i in "${!ALLOWED[@]}"; do
		explained "${ALLOWED[i]%% *}" ||
			echo "no such key in README.md: ${ALLOWED[i]%% *}" >>"$T/$WHO.unexplained"
		[[ ${USED[i]-} ]] || echo "allowed, and not seen: ${ALLOWED[i]}" >>"$T/$WHO.unexplained"
	done
	if [[ -s $T/$WHO.unexplained ]]; then
		echo "$1, $R:"
		cat "$T/$WHO.unexplained"
		word=DIFFERS
		result=1
	fi
	cell "$1" "$word"
	return $result
}

# The reference's own cell: how the commands ended, and how many events there were.
reference_cell() { # ROW
	local n

	n=$(grep -c '^event:' "$RECORD.told") || true
	cell "$1" "exit${CODES:- -}, $n events"
}

# All of them once, and the difference.
compare_once() { # CASE ROW
	local who result=0

	for who in reference cleat runc-cleat; do
		use "$who"
		record "$1"
		[[ ! ${COMPARE_SHOW-} ]] || sed "s/^/# $who | /" "$RECORD.told" >&3
		if [[ $who == reference ]]; then
			reference_cell "$2"
		else
			against_reference "$2" || result=1
		fi
	done
	return $result
}

# ctr 1.6 opens its end of the output in the background, and drops it if the process has ended by then:
# what a short command said is lost every few hundred times, under any shim.
only_output_is_lost() {
	! cat "$T"/{cleat,runc-cleat}.unexplained | grep -qvE '^[<>] (out|err): |^$'
}

compare() { # CASE ROW
	compare_once "$@" && return
	if only_output_is_lost && cell "$2, again" "the output differed" && rm -f "$T"/share/* &&
		compare_once "$@"; then
		return
	fi
	echo "what the reference said:"
	cat "$T/reference.record.told"
	return 1
}
