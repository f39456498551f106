# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every integration suite stands on: a private folder, bundles, deadlines, and a teardown that
# fails the test when anything of it is left. A suite begins with
#
#   load lib
#   setup() { cleat_setup; }
#   teardown() { cleat_teardown; }
#
#   @test "run hands back the exit code" {
#           make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "exit", "7"]'
#           run cleat run --bundle "$BUNDLE" --rm "$ID"
#           assert_status 7
#   }
#
# cleat_setup sets, for each test anew:
#   T        its folder, /tmp/ct-XXXXXX; the working directory is T/work
#   TAG      the folder's name: ct-XXXXXX. Whatever a test makes outside of T (a cgroup, a container's
#            id) carries it in its name: that is how leftovers are found
#   ROOT     T/root, cleat's own folder (--root)
#   RUNTIME_ROOT  the --root that the runtime has for ID
#   BUNDLE   T/bundle, not made yet; ID: TAG-c, a container's id that is unique on the machine
#   LOST, LOST_STATUS  what `cleat wait` prints and exits with for what was killed after its shim:
#            cleatd, whose shims these are, sees the end in the shim's place
#   TMPDIR   T/tmp: a program of ours that leaves a file there, or anywhere in ROOT, fails the test
#
# and these are for tests to call:
#   cleat ARGS...             build/cleat with --root, over the runtime under test; "$CLEAT" is that without
#                             --root
#   runtime ARGS...           that runtime itself; ${RUNTIME_COMMAND[@]} is it with its options
#   lacks RUNTIME WORDS       skips the test where that is the runtime: it has no such thing by its nature
#   needs_way WAY... -- WORDS skips the test in every other way of use, with the reason in WORDS
#   needs_root WORDS          skips the test where we are an ordinary user (test/rootless), with the reason in WORDS
#   background NAME CMD...    starts CMD, output in T/NAME.out and T/NAME.err, pid in ${PID[NAME]};
#                             killed in teardown if it still runs. Give it a program, so that the
#                             pid is that program's: background web "$CLEAT" --root "$ROOT" run ...
#   finish NAME               waits for it: status in $status, output in $output and $stderr
#   delete_told ID            deletes it by force, and prints all its events, from its first to its shim's
#                             end, as `cleat events` does
#   make_bundle DIR [JQ]      a bundle: busybox (and links for its commands) and the multi-tool as
#                             /bin/tool; config.json as `runc spec` has it, no terminal, with
#                             args ["/bin/tool", "pause"], and then edited by the jq program
#   edit_config DIR JQ        edits config.json once more
#   wait_for SECONDS CMD...   calls CMD until it succeeds; fails after that time
#   tool ARGS...              the multi-tool on the host
#   assert CMD...             fails with a sentence unless CMD succeeds
#   assert_status N           of the last `run` or `finish`
#   assert_equal GOT WANTED, assert_match TEXT REGEX, refute_match TEXT REGEX
#   deadline SECONDS          the time this test may take, from now on (120 without it). This and
#                             wait_for are longer by the factor TEST_SLOWER
#   count_processes           how many processes of the test there are (containers', shims', ...)
#   leftovers                 what teardown would complain of now, a line each
#
# RUNTIME in the environment is the runtime under test: runc (the default), crun or runsc. `cleat` and
# "$CLEAT" take it from a runtimes.json of ours; a test's own --runtime goes before it. runsc is slow:
# deadlines and wait_for have SLOWER times as long. How crun comes by a host that it takes: test/run.
#
# WAY in the environment is how `cleat` and "$CLEAT" reach shims: direct (the default); cleatd, which each
# test then has one of in its root, and neither it nor its socket counts as left behind; or shim, each by
# its own socket, through by_shim. There who starts a shim by hand has to end it by hand where it gets no
# container: leftovers does so before it looks.
#
# A process belongs to the test if T or TAG is in its command line, environment, working directory,
# executable or cgroup. At the deadline all of them are killed, which ends what the test waits for.
#
# Subtle: bats waits for its descriptor 3 to be closed everywhere; what runs in the background here
# does not have it. No function here needs `run`, and none prints unless something is wrong.

CLEAT_BIN=${CLEAT_BIN:-$(cd "$BATS_TEST_DIRNAME/../../build" 2>/dev/null && pwd)}
CLEAT=$CLEAT_BIN/cleat
TOOL=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build/test/tool
BUSYBOX=/bin/busybox

RUNTIME=${RUNTIME:-runc}
RUNTIME_COMMAND=("$RUNTIME")
RUNTIME_OPTIONS=()
WAY=${WAY:-direct}
SLOWER=${TEST_SLOWER:-1}
if [[ $RUNTIME == runsc ]]; then
	RUNTIME_OPTIONS=(platform=ptrace network=none ignore-cgroups)
	RUNTIME_COMMAND+=("${RUNTIME_OPTIONS[@]/#/--}")
	SLOWER=$((SLOWER * 4))
fi

bats_require_minimum_version 1.5.0

cleat_setup() {
	T=$(mktemp -d /tmp/ct-XXXXXX)
	TAG=${T##*/}
	ROOT=$T/root
	# shellcheck disable=SC2034 # for the suites
	BUNDLE=$T/bundle ID=$TAG-c
	# shellcheck disable=SC2034
	RUNTIME_ROOT=$ROOT/r/default
	# runsc takes the beginning of an id for the id: each container has a root of its own
	[[ $RUNTIME != runsc ]] || RUNTIME_ROOT+=/$ID
	# shellcheck disable=SC2034
	LOST=unknown LOST_STATUS=125
	# shellcheck disable=SC2034
	[[ $WAY != cleatd ]] || LOST=137 LOST_STATUS=137
	declare -gA PID=()
	mkdir "$T/work" "$T/tmp" "$T/dog"
	cd "$T/work" || return
	export TMPDIR=$T/tmp CLEAT_TEST=$TAG
	unset XDG_RUNTIME_DIR NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
	[[ $RUNTIME == runc ]] || choose_runtime || return
	[[ $WAY != shim ]] || choose_shim || return
	deadline "${CLEAT_TEST_DEADLINE:-120}"
	[[ $WAY != cleatd ]] || start_cleatd
}

# Serving once this returns.
# shellcheck disable=SC2120 # for the suites
start_cleatd() {
	background cleatd "$CLEAT_BIN/cleatd" --root "$ROOT"
	wait_for 10 cleatd_serves
}

# A dead one leaves its socket.
cleatd_serves() {
	[[ $("$CLEAT_BIN/cleat" --root "$ROOT" version) == *"via cleatd"* ]]
}

cleat_teardown() {
	local name status=0

	[[ -n ${T-} ]] || return 0
	for name in "${!PID[@]}"; do
		stop_process "${PID[$name]}"
	done
	stop_dog
	cd /
	if [[ -e $T/dog/barked ]]; then
		echo "the test exceeded its deadline of $(cat "$T/dog/barked") s"
		status=1
	fi
	# what ends by itself is not left: it gets five seconds, and is looked for all the time
	if ! wait_for 5 nothing_left 2>/dev/null; then
		echo "left behind:"
		leftovers
		status=1
	fi
	if [[ $status -ne 0 || -z ${BATS_TEST_COMPLETED-} ]]; then
		show_logs
	fi
	clean_up
	return $status
}

# Ends a child of this shell without bash's note about it.
stop_process() {
	disown "$1" 2>/dev/null || true
	kill -KILL "$1" 2>/dev/null || true
	wait_for 5 is_gone "$1"
}

is_gone() {
	! kill -0 "$1" 2>/dev/null
}

# --- the program under test ---

cleat() {
	"$CLEAT" --root "$ROOT" "$@"
}

# $CLEAT becomes a script, once for each suite file, that becomes the program. It is what a background
# pid is of, so it must not stay.
choose_runtime() {
	local dir=$BATS_FILE_TMPDIR/over

	# runsc's sandbox belongs to nobody, and makes its root in TMPDIR
	chmod 0711 "$T"
	if [[ ! -d $dir ]]; then
		mkdir "$dir.new" &&
			jq -n --arg kind "$RUNTIME" '{v: 1, runtimes: {tested: {kind: $kind,
				options: $ARGS.positional}}}' --args "${RUNTIME_OPTIONS[@]}" \
				>"$dir.new/runtimes.json" &&
			printf '#!/bin/sh\nexec "%s" --runtime tested "$@"\n' "$CLEAT_BIN/cleat" \
				>"$dir.new/cleat" &&
			chmod 0755 "$dir.new/cleat" && mv "$dir.new" "$dir" || return
	fi
	CLEAT=$dir/cleat
	export CLEAT_RUNTIMES=$dir/runtimes.json
}

# $CLEAT becomes a script again, which goes by the socket of each container's shim.
choose_shim() {
	local by=$BATS_FILE_TMPDIR/by-shim

	if [[ ! -e $by ]]; then
		printf '#!/bin/sh\nCLEAT_BIN="%s" exec "%s/by_shim" "%s" "$@"\n' "$CLEAT_BIN" \
			"$BATS_TEST_DIRNAME" "$CLEAT" >"$by.new" &&
			chmod 0755 "$by.new" && mv "$by.new" "$by" || return
	fi
	CLEAT=$by
}

needs_way() { # WAY... -- WORDS
	local ways=' '

	while [[ $1 != -- ]]; do
		ways+="$1 "
		shift
	done
	[[ $ways == *" $WAY "* ]] || skip "$WAY: ${*:2}"
}

needs_root() { # WORDS
	[[ $EUID -eq 0 ]] || skip "an ordinary user $*"
}

runtime() {
	"${RUNTIME_COMMAND[@]}" "$@"
}

lacks() { # RUNTIME WORDS
	[[ $RUNTIME != "$1" ]] || skip "$1 $2"
}

tool() {
	"$TOOL" "$@"
}

background() {
	local name=$1

	shift
	: >"$T/$name.out" 2>"$T/$name.err" # at once: nobody takes an earlier one's output for this one's
	"$@" >"$T/$name.out" 2>"$T/$name.err" 3>&- </dev/null &
	PID[$name]=$!
}

# shellcheck disable=SC2034 # status, output and stderr are what bats's own `run` sets
finish() {
	status=0
	wait "${PID[$1]}" || status=$?
	unset "PID[$1]"
	output=$(cat "$T/$1.out")
	stderr=$(cat "$T/$1.err")
}

# A shim that ends ends the events, so that nothing is missed and no time has to pass.
delete_told() { # ID
	background told "$CLEAT" --root "$ROOT" events --since 0 "$1"
	wait_for 10 test -s "$T/told.out"
	cleat delete --force "$1"
	wait "${PID[told]}"
	cat "$T/told.out"
}

# --- bundles ---

# Made once for each suite file, and copied: `runc spec` and three hundred links take their time.
make_template() {
	local dir=$BATS_FILE_TMPDIR/template

	[[ ! -d $dir ]] || return 0
	mkdir -p "$dir.new/rootfs"/{bin,dev,etc,proc,root,sys,tmp,usr}
	cp "$BUSYBOX" "$dir.new/rootfs/bin/busybox"
	"$BUSYBOX" --install -s "$dir.new/rootfs/bin"
	ln -s ../bin "$dir.new/rootfs/usr/bin"
	[[ ! -e $TOOL ]] || cp "$TOOL" "$dir.new/rootfs/bin/tool"
	if [[ $EUID -eq 0 ]]; then runc spec --bundle "$dir.new"; else runc spec --rootless --bundle "$dir.new"; fi
	mv "$dir.new" "$dir"
}

make_bundle() {
	local dir=$1 edit=${2:-.}

	make_template || return
	mkdir -p "$dir" || return
	cp -a "$BATS_FILE_TMPDIR/template/." "$dir/" || return
	# shellcheck disable=SC2016 # $tag is jq's
	edit_config "$dir" '.process.terminal = false | .process.args = ["/bin/tool", "pause"]
		| .process.env += ["CLEAT_TEST=" + $tag] | .hostname = "box"' || return
	[[ $edit == . ]] || edit_config "$dir" "$edit"
}

edit_config() {
	jq --arg tag "$TAG" "$2" "$1/config.json" >"$1/config.json.new" &&
		mv "$1/config.json.new" "$1/config.json"
}

# --- waiting ---

wait_for() {
	local end=$((${EPOCHREALTIME/./} + $1 * SLOWER * 1000000))

	shift
	until "$@"; do
		if [[ ${EPOCHREALTIME/./} -gt $end ]]; then
			echo "not within the time: $*" >&2
			return 1
		fi
		sleep 0.02
	done
}

# The watchdog waits on a FIFO that nobody writes to: a process less than with sleep(1).
deadline() {
	stop_dog
	rm -f "$T/dog/fifo"
	mkfifo "$T/dog/fifo"
	watch_dog $(($1 * SLOWER)) $BASHPID >"$T/dog/log" 2>&1 3>&- </dev/null &
	DOG=$!
}

stop_dog() {
	[[ -n ${DOG-} ]] || return 0
	stop_process "$DOG"
	DOG=
}

watch_dog() { # SECONDS SHELL
	local fifo

	trap - DEBUG ERR EXIT
	set +e
	exec {fifo}<>"$T/dog/fifo"
	read -r -t "$1" -u "$fifo"
	echo "$1" >"$T/dog/barked"
	kill_all
	# a test that loops in the shell itself is ended the hard way: teardown is then not run
	read -r -t 20 -u "$fifo"
	clean_up
	kill -KILL "$2"
}

# --- what belongs to the test ---

# PID REASON of each process of the test but this shell, those above it, and the watchdog. The list
# of numbers is taken first, so that what looks through them is not in it; so this is called in $(),
# never as a part of a pipe, whose other parts it would find.
test_processes() {
	local pids=(/proc/[0-9]*) skip=" $$ ${DOG-} ${PID[cleatd]-} " pid=$BASHPID path why

	while [[ $pid -gt 1 && $pid -ne $$ ]]; do
		skip+="$pid "
		pid=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$pid/stat")
	done
	{
		grep -lsaF -e "$T/" -e "$TAG" "${pids[@]/%//cmdline}" "${pids[@]/%//cgroup}" \
			"${pids[@]/%//environ}"
		find "${pids[@]/%//cwd}" "${pids[@]/%//exe}" "${pids[@]/%//root}" -maxdepth 0 \
			\( -lname "$T" -o -lname "$T/*" \) 2>/dev/null
	} | while IFS=/ read -r path path pid why; do
		[[ $skip == *" $pid "* ]] || echo "$pid $why"
		skip+="$pid "
	done
}

count_processes() {
	local list

	list=$(test_processes)
	grep -c . <<<"$list" || true
}

test_mounts() {
	awk -v t="$T/" 'index($5 "/", t) == 1 { print $5 }' /proc/self/mountinfo
}

test_cgroups() {
	# crun makes a folder where version 2 is not mounted, too: that is no cgroup
	find /sys/fs/cgroup -depth -type d -name "*$TAG*" \( -fstype cgroup -o -fstype cgroup2 \) \
		2>/dev/null
}

# Of ROOT the folders may stay that hold what all containers share: ROOT/s, c, c/NS, r, r/NS.
test_files() {
	local kept=("$ROOT" "$ROOT/s" "$ROOT/c" "$ROOT/r") path

	for path in "$ROOT"/c/* "$ROOT"/r/*; do
		[[ -d $path ]] && kept+=("$path")
	done
	[[ ! -d $ROOT ]] || find "$ROOT" -printf '%y %p\n' | while read -r kind path; do
		[[ $kind == d && " ${kept[*]} " == *" $path "* ]] || [[ $path == "$ROOT/cleatd.sock" ]] ||
			echo "$path"
	done
	find "$T/tmp" -mindepth 1
}

# Those that have a container refuse. One that has ended may not be reaped yet: it has no arguments.
end_empty_shims() {
	local record pid socket

	for record in "$ROOT"/c/*/*/shim.json; do
		read -r pid socket < <(jq -r '"\(.pid) \(.socket)"' "$record") || continue
		"$CLEAT_BIN/cleat" --shim "$socket" shim exit || continue
		wait_for 5 has_no_arguments "$pid"
	done >/dev/null 2>&1
}

has_no_arguments() { # PID
	! grep -q . "/proc/$1/cmdline"
}

leftovers() {
	local list pid why line

	[[ $WAY != shim ]] || end_empty_shims
	list=$(test_processes)
	while [[ $list ]] && read -r pid why; do
		line=$(tr '\0' ' ' <"/proc/$pid/cmdline") 2>/dev/null || continue
		[[ $line ]] || line=$(sed -n 's/^\(Name\|State\):\t//p' "/proc/$pid/status" | tr '\n' ' ')
		echo "process $pid (by its $why): $line"
	done <<<"$list"
	test_mounts | sed 's/^/mount /'
	test_cgroups | sed 's/^/cgroup /'
	test_files | sed 's/^/file /'
}

nothing_left() {
	[[ -z $(leftovers) ]]
}

# Kills every process of the test; frozen ones first have to thaw, or the signal waits.
kill_all() {
	local list group pid why

	test_cgroups | while read -r group; do
		[[ ! -e $group/freezer.state ]] || echo THAWED >"$group/freezer.state"
		[[ ! -e $group/cgroup.freeze ]] || echo 0 >"$group/cgroup.freeze"
	done 2>/dev/null
	list=$(test_processes)
	while [[ $list ]] && read -r pid why; do
		kill -KILL "$pid" 2>/dev/null || true
	done <<<"$list"
}

no_processes() {
	kill_all
	[[ -z $(test_processes) ]]
}

no_cgroups() {
	test_cgroups | xargs -r rmdir 2>/dev/null
	[[ -z $(test_cgroups) ]]
}

clean_up() {
	wait_for 10 no_processes
	test_mounts | sort -r | xargs -r umount -l
	wait_for 10 no_cgroups
	rm -rf --one-file-system "$T"
}

show_logs() {
	local log

	for log in "$T"/*.err "$ROOT"/c/*/*/log; do
		[[ -s $log && ! -p $log ]] || continue
		echo "--- ${log#"$T"/}"
		tail -n 20 "$log"
	done
}

# --- assertions: each says what it found ---

assert() {
	"$@" || { echo "failed: $*"; return 1; }
}

assert_status() {
	[[ $status -eq $1 ]] || {
		echo "status is $status, not $1; output:"
		printf '%s\n' "${output-}" "${stderr-}"
		return 1
	}
}

assert_equal() {
	[[ $1 == "$2" ]] || {
		printf 'got:    %s\nwanted: %s\n' "$1" "$2"
		return 1
	}
}

assert_match() {
	[[ $1 =~ $2 ]] || {
		printf 'got:    %s\nwanted: /%s/\n' "$1" "$2"
		return 1
	}
}

refute_match() {
	[[ ! $1 =~ $2 ]] || {
		printf 'got:      %s\nunwanted: /%s/\n' "$1" "$2"
		return 1
	}
}
