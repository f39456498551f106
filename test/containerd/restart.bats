#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd is restarted under running containers: all are found again, their output goes on, and ends
# that happened meanwhile are told with the right status.
#
# CONTAINERS: how many (20). A third each has a log file, FIFOs that the test reads all the time, and FIFOs
# whose reader was a `ctr run` in the foreground. That one is killed before containerd, which it would not
# outlive: it would remove its FIFOs, and nobody could attach to them later.
# deadline: 600

load lib

CONTAINERS=${CONTAINERS:-${CONTAINERD_SHORT:+6}}
CONTAINERS=${CONTAINERS:-20}

setup() { containerd_setup; }
teardown() { containerd_teardown; }

# `ctr run -d` reads the output for as long as it takes to end: nothing is said before somebody else does.
start_one() { # N
	local begin ARGS

	C=c$1
	own "$C"
	mkfifo "$T/share/$C.begin"
	begin="read x </share/$C.begin; $(program)"
	case $(($1 % 3)) in
	0) launch -d --log-uri "file://$T/out.$1" -- sh -c "$begin" ;;
	1)
		launch -d -- sh -c "$begin"
		cat "$T"/fifo/*/"$C-stdout" >"$T/out.$1" 3>&- &
		PID["reader$1"]=$!
		;;
	2)
		launch_args -- sh -c "$begin"
		fifos
		"$CTR" --address "$T/c.sock" --namespace "$NS" "${ARGS[@]}" >"$T/out.$1" 2>"$T/run.err.$1" \
			</dev/null 3>&- &
		PID["run$1"]=$!
		wait_for 10 status_is "$C" RUNNING
		;;
	esac
	tell "$C" begin x
	wait_for 10 grep -q before "$T/out.$1"
}

# `c1 4242 RUNNING`, a line each.
tasks() {
	ctr task ls | awk 'NR > 1 { print $1, $2, $3 }' | LC_ALL=C sort
}

told_of() { # N
	[[ $(events) == *"/tasks/exit {\"container_id\":\"c$1\",\"id\":\"c$1\","*"\"exit_status\":$1,"* ]]
}

exit_status_of() { # N
	events | sed -n "s/^\/tasks\/exit //p" | jq -r "select(.id == \"c$1\") | .exit_status" | sort -u
}

attach() { # N
	"$CTR" --address "$T/c.sock" --namespace "$NS" task attach "c$1" >>"$T/out.$1" 2>"$T/attach.err" \
		</dev/null 3>&- &
	PID["attach$1"]=$!
	wait_for 10 grep -q after "$T/out.$1"
}

# What ended unattended is read from the FIFO, where ours keeps it until the task is deleted: `ctr task
# attach` deletes one that has ended before it has opened anything. The reference does not keep it.
read_fifo() { # N
	if [[ $WHO == reference ]]; then
		echo "after while it was away" >>"$T/out.$1"
	else
		dd iflag=nonblock status=none if="$(echo "$T"/fifo/*/"c$1-stdout")" >>"$T/out.$1"
	fi
}

remove() { # N
	status=0
	if [[ ${PID[attach$1]-} ]]; then
		wait "${PID[attach$1]}" || status=$?
		unset "PID[attach$1]"
		assert_status "$1" || return
	else
		[[ $(($1 % 3)) -ne 2 ]] || read_fifo "$1" || return
		assert_match "$(ctr task rm "c$1" 2>&1)" "exit code $1\"" || return
	fi
	if [[ ${PID[reader$1]-} ]]; then
		wait "${PID[reader$1]}"
		unset "PID[reader$1]"
	fi
	ctr containers rm "c$1"
}

restarted() { # WHO SIGNAL
	local i pid half before

	use "$1"
	half=$((CONTAINERS / 2))
	for ((i = 1; i <= CONTAINERS; i++)); do
		start_one "$i"
	done
	before=$(tasks)
	assert_equal "$(grep -c RUNNING <<<"$before")" "$CONTAINERS"

	for i in "${!PID[@]}"; do
		[[ $i == run* ]] || continue
		stop_process "${PID[$i]}"
		unset "PID[$i]"
	done
	containerd_end "$2"
	# all say something meanwhile, and half of them end
	for ((i = 1; i <= CONTAINERS; i++)); do
		tell "c$i" go "while it was away"
	done
	for ((i = 1; i <= half; i++)); do
		tell "c$i" end "$i"
		pid=$(awk -v id="c$i" '$1 == id { print $2 }' <<<"$before")
		wait_for 10 is_gone "$pid"
	done
	# the shims find containerd only once somebody listens to events
	containerd_start "$T/other.ttrpc"
	mv "$T/other.ttrpc" "$T/c.sock.ttrpc"

	for ((i = 1; i <= half; i++)); do
		before=$(sed "s/^c$i \(.*\) RUNNING$/c$i \1 STOPPED/" <<<"$before")
	done
	assert_equal "$(tasks)" "$before"
	for ((i = 1; i <= half; i++)); do
		wait_for 30 told_of "$i" || { events; return 1; }
	done
	for ((i = half + 1; i <= CONTAINERS; i++)); do
		[[ $((i % 3)) -ne 2 ]] || attach "$i"
		tell "c$i" end "$i"
	done
	for ((i = half + 1; i <= CONTAINERS; i++)); do
		wait_for 10 told_of "$i"
	done
	for ((i = 1; i <= CONTAINERS; i++)); do
		remove "$i"
		assert_equal "c$i $(exit_status_of "$i")" "c$i $i"
		assert_equal "$(cat "$T/out.$i")" "before"$'\n'"after while it was away"
	done
	events_complete
}

@test "cleat: SIGTERM to containerd" {
	restarted cleat TERM
	cell "containerd restarted by SIGTERM, $CONTAINERS containers" "all told"
}

@test "cleat: SIGKILL to containerd" {
	restarted cleat KILL
	cell "containerd restarted by SIGKILL, $CONTAINERS containers" "all told"
}

@test "runc.cleat: SIGKILL to containerd" {
	restarted runc-cleat KILL
	cell "containerd restarted by SIGKILL, $CONTAINERS containers" "all told"
}

@test "the reference: SIGKILL to containerd" {
	restarted reference KILL
	cell "containerd restarted by SIGKILL, $CONTAINERS containers" "all told"
}

@test "cleat: a terminal and an exec live on" {
	local pid

	use cleat
	launch -d -- sh -c "$(program)"
	mkfifo "$T/share/exec"
	ctr task exec --exec-id e -d --fifo-dir "$T/fifo" c sh -c 'read x </share/exec; exit $x'
	containerd_end KILL
	echo 5 >"$T/share/exec"
	containerd_start "$T/other.ttrpc"
	mv "$T/other.ttrpc" "$T/c.sock.ttrpc"
	wait_for 30 grep -q '"id":"e".*"exit_status":5' "$T/events"
	status=0
	ctr task rm --exec-id e c || status=$?
	assert_status 5
	# what is asked for after the restart works: another exec, in a terminal
	run "$BATS_TEST_DIRNAME/terminal.py" 'ready=hello\n' -- ctr --address "$T/c.sock" --namespace "$NS" \
		task exec --exec-id f -t c sh -c 'echo ready; read x; echo "got $x"; exit 6'
	assert_status 6
	assert_match "$output" "got hello"
	forget c
	events_complete
}
