#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Nothing remains of containers that are gone, however many there were, in a row or at once; and a
# shim is after thousands of execs what it was after the first hundred.
#
# RUNS in a row (40), AT_ONCE (10), EXECS (400); FULL=1 makes them 200, 50 and 5000.
# deadline: 1800

# shellcheck disable=SC2154 # stderr and the like are set by `finish`

load lib

if [[ -n ${FULL-} ]]; then
	: "${RUNS:=200}" "${AT_ONCE:=50}" "${EXECS:=5000}"
else
	: "${RUNS:=40}" "${AT_ONCE:=10}" "${EXECS:=400}"
fi

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
	# in clock ticks since boot
	BEGUN=$(sed 's/.*) //' "/proc/$BASHPID/stat" | cut -d' ' -f20)
}

teardown() {
	cleat_teardown
}

# Zombies that are younger than the test and bear one of our names. Other people's may be among
# them: a zombie is left behind when it is still there later on.
zombies() {
	awk -v begun="$BEGUN" 'match($0, /\(.*\)/) {
			name = substr($0, RSTART + 1, RLENGTH - 2)
			split(substr($0, RSTART + RLENGTH + 1), f, " ")
			if (f[1] == "Z" && f[20] >= begun && name ~ /^(cleat|runc|crun|runsc|exe$|tool|sh$)/)
				print FILENAME, f[20]
		}' /proc/[0-9]*/stat 2>/dev/null | sort || true
}

none_of() { # ZOMBIES
	[[ -z $(comm -12 <(echo "$1") <(zombies) | grep .) ]]
}

# Names with our tag outside of the test's folder: of files, mounts, cgroups.
elsewhere() {
	find /run /dev/shm /var/tmp -xdev -name "*$TAG*" 2>/dev/null || true
	grep -F "$TAG" /proc/self/mountinfo || true
	test_cgroups
}

assert_nothing_remains() {
	wait_for 5 nothing_left || { leftovers; return 1; }
	assert_equal "$(elsewhere)" ""
	assert wait_for 15 none_of "$(zombies)"
	assert_equal "$(cleat list --json)" "[]"
	# the folders that all containers share, and nothing in them (and where cleatd serves)
	assert_equal "$(find "$ROOT" -mindepth 1 ! -name cleatd.sock -printf '%P %y\n' | sort | tr '\n' ' ')" \
		"c d c/default d r d r/default d s d "
}

@test "runs in a row: nothing remains" {
	deadline $((60 + RUNS))
	for ((i = 1; i <= RUNS; i++)); do
		edit_config "$BUNDLE" ".process.args = [\"/bin/tool\", \"exit\", \"$((i % 256))\"]"
		code=0
		cleat run --rm --bundle "$BUNDLE" "$ID" </dev/null || code=$?
		assert_equal "run $i: $code" "run $i: $((i % 256))"
	done
	assert_nothing_remains
}

@test "the same of containers that run detached, with execs, logs and a forced delete" {
	deadline $((60 + RUNS))
	for ((i = 1; i <= RUNS / 4; i++)); do
		cleat run -d --log "file://$T/log" --bundle "$BUNDLE" "$ID"
		cleat exec -d "$ID" sleep 100 >/dev/null
		cleat exec -d --log "file://$T/log" "$ID" tool orphan 3 >/dev/null
		cleat exec "$ID" tool exit 0
		cleat delete --force "$ID"
	done
	assert_nothing_remains
}

@test "the same of runs that fail" {
	edit_config "$BUNDLE" '.process.args = ["/bin/nope"]'
	for ((round = 1; round <= RUNS / 4; round++)); do
		run -127 --separate-stderr cleat run --bundle "$BUNDLE" "$ID"
	done
	edit_config "$BUNDLE" '.mounts += [{destination: "/mnt", type: "bind", source: "/none/such",
		options: ["bind"]}]'
	for ((round = 1; round <= RUNS / 4; round++)); do
		run -125 --separate-stderr cleat run -d --bundle "$BUNDLE" "$ID"
	done
	assert_nothing_remains
}

@test "runs at once: each its own output and code, and nothing remains" {
	deadline $((60 + 4 * AT_ONCE))
	for ((i = 1; i <= AT_ONCE; i++)); do
		make_bundle "$BUNDLE$i" ".process.args = [\"/bin/sh\", \"-c\",
			\"echo output of $i; cat >/dev/null; exit $i\"]"
	done
	for ((i = 1; i <= AT_ONCE; i++)); do
		background "r$i" "$CLEAT" --root "$ROOT" run --rm --bundle "$BUNDLE$i" "$ID-$i"
	done
	for ((i = 1; i <= AT_ONCE; i++)); do
		finish "r$i"
		assert_equal "$i: $status, $output, $stderr" "$i: $i, output of $i, "
	done
	assert_nothing_remains
}

# --- one shim, for long ---

# What is the shim's own: its heap, stack and data. Private_Dirty has in it, for half a minute after a
# build, the pages of the program's file too.
private_kb() {
	awk '/^Anonymous:/ { print $2 }' "/proc/$SHIM/smaps_rollup"
}

# Once the last client has left, which is when a shim gives back what it can.
settled_kb() {
	wait_for 5 nobody_is_connected
	private_kb
}

# The shim's own socket listens; a client's connection has the same path. It was bound through a
# descriptor of its folder, so that the path ends with its name, and is not the one that state tells.
nobody_is_connected() {
	[[ $(grep -c "/${SOCKET##*/}\$" /proc/net/unix) -eq 1 ]]
}

# What is open but for clients' connections, which may be a moment in going.
descriptors() {
	find "/proc/$SHIM/fd" -type l -printf '%l\n' | sed 's/[0-9]\{2,\}//' | sort | uniq -c
}

# fds is what is open; not in the middle of a write, whose file is nobody's yet.
see_descriptors() {
	fds=$(descriptors)
	[[ $fds != *"/.tmp-"* ]]
}

same_descriptors() { # WANTED
	[[ $(descriptors) == "$1" ]]
}

execs_until() { # N
	for (( ; done_execs < $1; done_execs++)); do
		code=0
		cleat exec "$ID" tool exit $((done_execs % 256)) || code=$?
		assert_equal "exec $done_execs: $code" "exec $done_execs: $((done_execs % 256))"
		size=$(stat -c %s "$LEDGER")
		[[ $size -le 262144 ]] || { echo "exec $done_execs: the ledger has $size bytes"; return 1; }
	done
}

# The hundred execs have filled what a shim keeps of its last events, whoever may ask for them; from
# then on nothing grows. The tolerance is for pages that happen to be in use when it is looked at: an
# exec that left 64 bytes behind would be seen after 300 of them.
@test "a shim after many execs: descriptors, ledger, memory and children as after a hundred" {
	deadline $((60 + EXECS / 4))
	cleat run -d --bundle "$BUNDLE" "$ID"
	SHIM=$(cleat state "$ID" | jq .shim_pid)
	SOCKET=$(cleat state "$ID" | jq -r .socket)
	LEDGER=$ROOT/c/default/$ID/exits.jsonl
	done_execs=0
	execs_until 100
	memory=$(settled_kb) told="$memory kB after 100"
	wait_for 5 see_descriptors
	children=$(pgrep -P "$SHIM") # runsc has more than the init
	if [[ $EXECS -gt 1000 ]]; then
		execs_until 1000
		told+=", $(settled_kb) kB after 1000"
	fi
	execs_until "$EXECS"
	wait_for 5 same_descriptors "$fds" || assert_equal "$(descriptors)" "$fds"
	now=$(settled_kb)
	echo "# private memory: $told, $now kB after $EXECS" >&3
	# a sanitizer's own memory grows as it likes, and it looks for leaks itself
	[[ ${VARIANT-release} == release ]] || memory=$now
	assert [ $((now - memory)) -le 16 ]
	# nobody's child, and no record of an exec
	assert_equal "$(cleat state "$ID" | jq '.processes | length')" 1
	assert_equal "$(pgrep -P "$SHIM")" "$children"
	[[ $RUNTIME == runsc ]] || assert_equal "$children" "$(cleat state "$ID" | jq .pid)"
	cleat delete --force "$ID"
	assert_nothing_remains
}
