#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who gets in, and what gets in: the sockets and their folders, peers of another uid, and the
# descriptors that a process finds open inside.
# deadline: 600

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
}

teardown() {
	cleat_teardown
}

run_with_socket() {
	cleat run -d --bundle "$BUNDLE" "$ID"
	SOCKET=$(cleat state "$ID" | jq -r .socket)
}

# Connects as UID through a descriptor of the socket's folder, which root has opened: what refuses
# is told by one word.
connect_as() { # UID
	/usr/bin/python3 - "$1" "$SOCKET" "$ID" <<-'EOF'
		import os, socket, struct, sys

		uid, path, ident = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
		folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
		os.setgroups([])
		os.setresgid(uid, uid, uid)
		os.setresuid(uid, uid, uid)
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(10)
		try:
		    s.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
		except PermissionError:
		    sys.exit("mode")
		service, method = b"cleat.shim.v1.Monitor", b"Info"
		request = bytes([10, len(service)]) + service + bytes([18, len(method)]) + method
		try:
		    s.sendall(struct.pack(">IIBB", len(request), 1, 1, 0) + request)
		    answer = s.recv(65536)
		except (BrokenPipeError, ConnectionResetError):
		    answer = b""
		print("answered" if ident in answer else "closed" if not answer else "something else")
	EOF
}

# --- who ---

@test "sockets are 0600, in folders that are 0700, and the files beside them too" {
	umask 0
	run_with_socket
	umask 022
	assert_equal "$(stat -c '%a %F %u' "$SOCKET")" "600 socket $EUID"
	for dir in "$ROOT" "$ROOT/s" "$ROOT/c" "$ROOT/c/default" "$ROOT/c/default/$ID" "$ROOT/r"; do
		assert_equal "${dir#"$ROOT"} $(stat -c '%a %u' "$dir")" "${dir#"$ROOT"} 700 $EUID"
	done
	# init.pid is the runtime's, which has the umask of whoever started us
	assert_equal "$(find "$ROOT/c" -type f ! -name init.pid -perm /077)" ""
	# nothing listens where file modes say nothing: in the abstract namespace
	shim=$(cleat state "$ID" | jq .shim_pid)
	inodes=$(find "/proc/$shim/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n')
	assert_equal "$(grep -wF "$inodes" /proc/net/unix | grep -c ' @' || true)" 0
	# cleatd has a connection to it
	if [[ $WAY == cleatd ]]; then n=2; else n=1; fi
	assert_equal "$(grep -wF "$inodes" /proc/net/unix | grep -c "/${SOCKET##*/}\$" || true)" "$n"
	cleat delete --force "$ID"
}

@test "a peer with another uid is held off by the socket's mode, though it has the folder open" {
	needs_root "cannot become another"
	run_with_socket
	assert_equal "$(connect_as 0)" answered
	run connect_as 65534
	assert_equal "$output" mode
	cleat delete --force "$ID"
}

@test "a peer with another uid is closed without a word, whatever the modes say" {
	needs_root "cannot become another"
	run_with_socket
	chmod 0666 "$SOCKET"
	chmod 0755 "$ROOT" "$ROOT/s" "$T"
	for _ in 1 2 3; do
		run connect_as 65534
		assert_equal "$status $output" "0 closed"
	done
	assert_equal "$(connect_as 0)" answered
	# and the shim is none the worse for it
	run cleat exec "$ID" tool exit 7
	assert_status 7
	cleat delete --force "$ID"
}

# --- what: `tool fds` leaves out the one that it looks with ---

# The numbers must be 0, 1 and 2, and no target among them anything of ours.
assert_only_stdio() { # FORM TEXT
	assert_equal "$1: $(cut -d' ' -f1 <<<"$2" | tr '\n' ' ')" "$1: 0 1 2 "
	refute_match "$2" "socket:|anon_inode|memfd|$ROOT"
}

# What a process that goes on has open, seen from outside.
assert_quiet_process() { # FORM PID
	assert_equal "$1: $(find "/proc/$2/fd" -mindepth 1 -printf '%f %l\n' | sort | tr '\n' ' ')" \
		"$1: 0 /dev/null 1 /dev/null 2 /dev/null "
}

is_pause() { # PID
	[[ $(tr '\0' ' ' <"/proc/$1/cmdline") == *"tool pause " ]]
}

# Those that have nothing, an init and an exec.
look_from_outside() {
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	pid=$(cleat state "$ID" | jq .pid)
	wait_for 5 is_pause "$pid"
	assert_quiet_process "init, nothing" "$pid"
	cleat exec -d --pid-file "$T/pid" "$ID" tool pause >/dev/null
	wait_for 5 is_pause "$(<"$T/pid")"
	assert_quiet_process "exec, nothing" "$(<"$T/pid")"
	cleat delete --force "$ID"
}

# All other forms.
look_inside() {
	local form

	# the execs
	cleat run -d --bundle "$BUNDLE" "$ID" </dev/null
	assert_only_stdio "exec, fd" "$(cleat exec "$ID" tool fds </dev/null)"
	assert_only_stdio "exec, terminal" "$(cleat exec -t "$ID" tool fds </dev/null | tr -d '\r')"
	rm -f "$T/log" "$T/file"
	mkfifo "$T/log"
	background look cat "$T/log"
	cleat exec -d --exec-id fifo --log "$T/log" "$ID" tool fds >/dev/null
	cleat wait --exec-id fifo "$ID" >/dev/null
	cleat delete --exec-id fifo "$ID"
	finish look
	assert_only_stdio "exec, FIFO" "$output"
	for form in file "file-direct"; do
		rm -f "$T/file"
		cleat exec -d --exec-id "$form" --log "$(uri $form)" "$ID" tool fds >/dev/null
		cleat wait --exec-id "$form" "$ID" >/dev/null
		cleat delete --exec-id "$form" "$ID"
		assert_only_stdio "exec, $form" "$(<"$T/file")"
	done
	cleat delete --force "$ID"

	# the inits
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "fds"]'
	assert_only_stdio "init, fd" "$(cleat run --rm --bundle "$BUNDLE" "$ID" </dev/null)"
	assert_only_stdio "init, terminal" \
		"$(cleat run -t --rm --bundle "$BUNDLE" "$ID" </dev/null | tr -d '\r')"
	background look cat "$T/log"
	cleat run -d --log "$T/log" --bundle "$BUNDLE" "$ID"
	cleat wait "$ID" >/dev/null
	cleat delete "$ID"
	finish look
	assert_only_stdio "init, FIFO" "$output"
	for form in file "file-direct"; do
		rm -f "$T/file"
		cleat run -d --log "$(uri $form)" --bundle "$BUNDLE" "$ID"
		cleat wait "$ID" >/dev/null
		cleat delete "$ID"
		assert_only_stdio "init, $form" "$(<"$T/file")"
	done
}

uri() {
	if [[ $1 == file ]]; then echo "file://$T/file"; else echo "file://$T/file?direct=1"; fi
}

@test "nothing but stdio is open inside, for init and exec, in each form" {
	look_inside
}

@test "the same where there is no stdio, seen from outside" {
	lacks runsc "has processes inside only"
	look_from_outside
}

call() {
	"$BATS_TEST_DIRNAME/task_call.py" "$SOCKET" "$@"
}

# What `tool fds` has said in a FIFO named NAME; its stdin had a writer all the time.
looked() { # FORM NAME
	finish "$2"
	assert_only_stdio "$1" "$output"
}

# The runtime's create and start, where `cleat run` has it do both at once; and a FIFO for stdin.
@test "the same by create and start, with a FIFO for each stream" {
	edit_config "$BUNDLE" '.process.args = ["/bin/sh", "-c", "tool fds; exec tool pause"]'
	mkfifo "$T/in" "$T/out" "$T/err" "$T/in2" "$T/out2" "$T/err2"
	exec {in}<>"$T/in" {in2}<>"$T/in2"
	background out sh -c "exec head -n 3 <'$T/out'"
	SOCKET=$("$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start 3>&- \
		{in}>&- {in2}>&-)
	SOCKET=${SOCKET#unix://}
	call create "$ID" "$BUNDLE" "$T/in" "$T/out" "$T/err" >/dev/null
	call start "$ID" "" >/dev/null
	looked "init, three FIFOs" out
	background out2 sh -c "exec cat <'$T/out2'"
	call exec "$ID" e "$T/in2" "$T/out2" "$T/err2" /bin/tool fds
	call start "$ID" e >/dev/null
	looked "exec, three FIFOs" out2
	exec {in}>&- {in2}>&-
	call delete "$ID" e >/dev/null
	cleat delete --force "$ID"

	# of the other forms
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "fds"]'
	for form in file "file-direct"; do
		rm -f "$T/file"
		cleat create --log "$(uri $form)" --bundle "$BUNDLE" "$ID" </dev/null
		cleat start "$ID"
		cleat wait "$ID" >/dev/null
		cleat delete "$ID"
		assert_only_stdio "init by create, $form" "$(<"$T/file")"
	done
}

@test "nor is anything that cleat itself was started with" {
	exec 6<"$T" 7>"$T/work/extra" 9</etc/passwd 77</dev/zero
	look_inside
	exec 6<&- 7>&- 9<&- 77<&-
}

@test "the same of that where there is no stdio, seen from outside" {
	lacks runsc "has processes inside only"
	exec 6<"$T" 7>"$T/work/extra" 9</etc/passwd 77</dev/zero
	look_from_outside
	exec 6<&- 7>&- 9<&- 77<&-
}

@test "the shim keeps none of what cleat was started with" {
	exec 6<"$T/work" 9</etc/passwd 77</dev/zero
	cleat run -d --bundle "$BUNDLE" "$ID"
	exec 6<&- 9<&- 77<&-
	shim=$(cleat state "$ID" | jq .shim_pid)
	refute_match "$(find "/proc/$shim/fd" -printf '%l\n' | tr '\n' ' ')" "passwd|$T/work|/dev/zero"
	cleat delete --force "$ID"
}

# --- what the runtime is given ---

@test "the runtime has the environment that cleat was given, and nothing of the shim's own" {
	needs_way direct shim -- "it has what cleatd was given"
	local runtime=${RUNTIME:-runc}

	lacks runsc "is called with options of a runtimes.json here, and this one is named by its path"
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "exit", "0"]'
	# shellcheck disable=SC2016 # that is for the script
	printf '#!/bin/sh\nenv >"%s"\nexec %s "$@"\n' "$T/env" "$(command -v "$runtime")" >"$T/$runtime"
	chmod +x "$T/$runtime"
	unset GLIBC_TUNABLES
	run -0 env GIVEN=yes "$CLEAT" --root "$ROOT" --runtime "$T/$runtime" run --rm --bundle "$BUNDLE" "$ID"
	grep -qx GIVEN=yes "$T/env"
	run ! grep GLIBC_TUNABLES "$T/env"
	run -0 env GLIBC_TUNABLES=glibc.malloc.perturb=7 "$CLEAT" --root "$ROOT" \
		--runtime "$T/$runtime" run --rm --bundle "$BUNDLE" "$ID"
	grep -qx GLIBC_TUNABLES=glibc.malloc.perturb=7 "$T/env"
}
