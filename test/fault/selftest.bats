#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The test tools tested: the multi-tool and the scripted runtime, driven from the shell. Run as
# root from the top of the tree after `make test-tools`. Needs nothing but bash and coreutils.
#
# Every program of a test runs from its own folder, so that what it leaves behind can be found by
# the path of its executable; teardown fails for it. Whatever creates a container has its stdout in
# a file: bats waits for whoever holds its own.

bats_require_minimum_version 1.5.0

setup() {
	export D=$BATS_TEST_TMPDIR
	export TOOL=$D/bundle/rootfs/bin/tool FAKE=$D/fake-runtime ROOT=$D/root LOG=$D/log
	mkdir -p "$D/bundle/rootfs/bin" "$D/bundle/rootfs/tmp"
	cp build/test/tool "$TOOL"
	cp build/test/fake-runtime "$FAKE"
	: >"$D/script"
	config /bin/tool trap TERM 7
}

teardown() {
	local left=0 pid id
	for id in "$ROOT"/*; do
		[ -e "$id" ] && "$FAKE" --root "$ROOT" delete --force "${id##*/}"
	done
	for pid in $(ours); do
		echo "left: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		kill -KILL "$pid"
		left=1
	done
	[ "$left" = 0 ]
}

# The pids of all that runs from the test's folder.
ours() {
	local exe
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe") in
		"$D"/*)
			exe=${exe#/proc/}
			echo "${exe%/exe}"
			;;
		esac
	done
}

# config ARG...: the bundle's program. TERMINAL=true for a terminal of 33 rows and 99 columns.
config() {
	local args
	args=$(printf ',"%s"' "$@")
	cat >"$D/bundle/config.json" <<-END
		{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {
		"terminal": ${TERMINAL:-false}, "consoleSize": {"height": 33, "width": 99},
		"args": [${args#,}], "env": ["PATH=/bin", "A=B"], "cwd": "/tmp"}}
	END
}

script() {
	printf '%s\n' "$@" >"$D/script"
}

fake() {
	"$FAKE" --root "$ROOT" --log "$LOG" --log-format json --script="$D/script" "$@" 3>&-
}

# create [FLAG...] ID
create() {
	fake create --bundle "$D/bundle" --pid-file "$D/pid" "$@" >"$D/out" 2>"$D/err"
}

status_of() {
	fake state "$1" | sed -n 's/.*"status": "\([a-z]*\)".*/\1/p'
}

alive() {
	grep -q '^State:.[^ZX]' "/proc/$1/status" 2>/dev/null
}

dead() {
	! alive "$1"
}

equal() {
	[ "$1" = "$2" ] || {
		printf 'got:  %q\nnot:  %q\n' "$1" "$2"
		return 1
	}
}

has() {
	grep -qF -- "$2" "$1" || {
		printf 'no "%s" in:\n' "$2"
		cat "$1"
		return 1
	}
}

# fails CODE MESSAGE COMMAND...: as runc fails, on stderr and in the log.
fails() {
	local code=$1 message=$2 got=0
	shift 2
	: >"$LOG"
	"$@" >"$D/fails.out" 2>"$D/fails.err" || got=$?
	[ "$1" != create ] || cp "$D/err" "$D/fails.err"
	equal "$got" "$code"
	equal "$(cat "$D/fails.err")" "$message"
	has "$LOG" '{"level":"error","msg":"'"${message//\"/\\\"}"'","time":"'
	equal "$(wc -l <"$LOG")" 1
}

# eventually COMMAND...: retried until it succeeds, for 10 s.
eventually() {
	local end=$((SECONDS + 10))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# reaped COMMAND...: a shell command with these functions, run as the child of a subreaper that
# notes in reaped.log how everything ended. stdout and stderr are the test's.
reaped() {
	export -f fake create status_of alive dead equal has eventually
	"$TOOL" reaper "$D/reaped.log" bash -euc "$*" 3>&-
}

# --- the multi-tool ---

@test "tool: streams are reproducible and checked to the byte" {
	"$TOOL" random 5 1000003 | "$TOOL" check 5 1000003
	"$TOOL" burst 3M | "$TOOL" check 1 3M
	"$TOOL" burst 100 2 2>&1 >"$D/none" | "$TOOL" check 1 100
	[ ! -s "$D/none" ]
	# The stream is fixed for good: others check it too.
	equal "$("$TOOL" random 1 1M | sha256sum)" \
		"f29fb072131fcfc725b5ec446ad19960b2b1b4fd78a3cbf5867009111fe602e0  -"
	run "$TOOL" check 5 100 < <("$TOOL" random 6 100)
	[ "$status" = 1 ]
	[[ $output == *"byte 0 is"* ]]
	run "$TOOL" check 5 100 < <("$TOOL" random 5 99)
	[ "$status" = 1 ]
	[[ $output == *"ended after 99 of 100"* ]]
	run "$TOOL" check 5 100 < <("$TOOL" random 5 101)
	[ "$status" = 1 ]
	[[ $output == *"more than 100"* ]]
}

@test "tool: cat, tee2, count-stdin, lines" {
	"$TOOL" random 7 300K | "$TOOL" cat | "$TOOL" check 7 300K
	"$TOOL" random 7 300K | "$TOOL" tee2 2>"$D/copy" | "$TOOL" check 7 300K
	"$TOOL" check 7 300K <"$D/copy"
	equal "$(printf foobar | "$TOOL" count-stdin)" "6 85944171f73967e8"
	cmp <("$TOOL" lines 20000) <(printf 'line %d\n' $(seq 20000))
}

@test "tool: writes all of it to a non-blocking pipe that is full" {
	local reader writer
	mkfifo "$D/fifo"
	("$TOOL" wait-file "$D/go" && tail -c +65537 >"$D/copy") <"$D/fifo" 3>&- &
	reader=$!
	# dd makes the open file description non-blocking for whoever shares it, and fills the pipe.
	(
		dd if=/dev/null oflag=nonblock status=none
		dd if=/dev/zero bs=64K count=1 status=none
		exec "$TOOL" burst 1M
	) >"$D/fifo" 3>&- &
	writer=$!
	waits() {
		[ "$(cat "/proc/$writer/comm" 2>"$D/none")" = tool ] && grep -q '^State:.S' "/proc/$writer/status"
	}
	eventually waits
	"$TOOL" touch "$D/go"
	wait "$writer"
	wait "$reader"
	"$TOOL" check 1 1M <"$D/copy"
}

@test "tool: exits with every code" {
	local n
	for n in $(seq 0 255); do
		local got=0
		"$TOOL" exit "$n" || got=$?
		equal "$got" "$n"
	done
}

@test "tool: dies of every signal that kills" {
	local sig got
	for sig in $(seq 1 16) $(seq 24 27) 29 30 31 $(seq 34 64); do
		got=0
		"$TOOL" seq kill-self "$sig" 2>"$D/err" || got=$?
		equal "$sig $got" "$sig $((128 + sig))"
	done
	run "$TOOL" kill-self CHLD
	[ "$status" = 125 ]
	[[ $output == *"did not end"* ]]
}

@test "tool: as process 1 it takes TERM, and can't kill itself" {
	run unshare --pid --fork "$TOOL" kill-self TERM
	[ "$status" = 125 ]
	mkfifo "$D/fifo"
	unshare --pid --fork "$TOOL" trap TERM 7 >"$D/fifo" 3>&- &
	local parent=$! line pid got=0
	read -r line <"$D/fifo"
	equal "$line" ready
	pid=$(cat "/proc/$parent/task/$parent/children")
	pid=${pid% }
	kill -TERM "$pid"
	wait "$parent" || got=$?
	equal "$got" 7
}

@test "tool: pause ends with 0 at TERM, ignore-term does not" {
	"$TOOL" pause 3>&- &
	local pid=$! got=0 line
	caught() { (((0x$(sed -n "s/^$1:.//p" "/proc/$pid/status") & 0x4000) != 0)); }
	eventually caught SigCgt
	kill -TERM "$pid"
	wait "$pid"
	mkfifo "$D/fifo"
	"$TOOL" ignore-term >"$D/fifo" 3>&- &
	pid=$!
	read -r line <"$D/fifo"
	caught SigIgn
	kill -KILL "$pid"
	wait "$pid" || got=$?
	equal "$got" 137
}

@test "tool: what a process sees of itself" {
	equal "$("$TOOL" args a 'b c' '')" "$(printf 'a\nb c\n')"
	equal "$("$TOOL" err oops 2>&1 >/dev/null)" oops
	equal "$(env -i X=1 Y=2 "$TOOL" env)" "$(printf 'X=1\nY=2')"
	equal "$(cd "$D" && "$TOOL" cwd)" "$D"
	equal "$(setpriv --reuid 12 --regid 34 --groups 5,6 build/test/tool id)" "12 34 5,6"
	equal "$(setpriv --clear-groups "$TOOL" id)" "$(id -u) $(id -g) -"
	equal "$("$TOOL" fds </dev/null 7>"$D/x" 2>&1 | grep -v ^1 | head -1)" "0 /dev/null"
	has <("$TOOL" fds 7>"$D/x") "7 $D/x"
	printf 'one\ntwo\n' >"$D/text"
	equal "$("$TOOL" file "$D/text")" "$(id -u) $(id -g) one"
	run "$TOOL" file "$D/none" "$D/text"
	[ "$status" = 1 ]
	has <(echo "$output") "$(id -u) $(id -g) one"
	run "$TOOL" nonsense
	[ "$status" = 2 ]
	run "$TOOL" exit
	[ "$status" = 2 ]
}

@test "tool: seq and chain" {
	run "$TOOL" seq args a -- exit 3 -- kill-self KILL -- exit 5
	[ "$status" = 5 ]
	[ "$output" = a ]
	run "$TOOL" chain args a -- exit 6
	[ "$status" = 6 ]
	[ "$output" = a ]
	# seq passes TERM on to the child it is waiting for
	mkfifo "$D/fifo"
	"$TOOL" seq trap TERM 7 >"$D/fifo" 3>&- &
	local pid=$! line got=0
	read -r line <"$D/fifo"
	kill -TERM "$pid"
	wait "$pid" || got=$?
	equal "$got" 7
}

@test "tool: logger takes what comes on 3 and 4, says so on 5, and dies where it is told to" {
	mkdir "$D/log"
	printf abcdef >"$D/3"
	printf gh >"$D/4"
	"$TOOL" logger "$D/log" look 1 k v 3<"$D/3" 4<"$D/4" 5>"$D/5"
	equal "$(cat "$D/log/out")" abcdef
	equal "$(cat "$D/log/err")" gh
	equal "$(stat -c %s "$D/5")" 1
	equal "$(sed 's/ [0-9]*$//' "$D/log/runs" | tr '\n' ' ')" "start ready end "
	equal "$(tail -n 2 "$D/log/args" | tr '\n' ' ')" "k v "
	# of its runs, that one too, the first two may die
	run "$TOOL" logger "$D/log" die 3 deaths 2 3<"$D/3" 4</dev/null 5>"$D/5"
	equal "$status" 137
	run "$TOOL" logger "$D/log" die 3 deaths 2 3<"$D/3" 4</dev/null 5>"$D/5"
	equal "$status" 0
	equal "$(cat "$D/log/out")" abcdefabcabcdef
	run "$TOOL" logger "$D/log" before 7 3</dev/null 4</dev/null 5>"$D/5"
	equal "$status" 7
	equal "$(stat -c %s "$D/5")" 0
}

@test "tool: orphans go to the subreaper and end; hold keeps stdout alone" {
	reaped '
		"$TOOL" orphan 3 >"$D/out" &
		eventually has "$D/out" ready >/dev/null
		kill %1; wait %1'
	# the three, and the shell; the tool has reaped those between, the shell the tool
	equal "$(grep -c '^exit [0-9]* 0$' "$D/reaped.log")" 4
	: >"$D/reaped.log"
	# the pipe ends only once the child is gone, which the reaper waits for
	equal "$(reaped '"$TOOL" hold 1' | "$TOOL" count-stdin)" "0 cbf29ce484222325"
	equal "$(grep -c '^exit' "$D/reaped.log")" 2
	local holder
	"$TOOL" hold 1000 >"$D/held" 2>"$D/held2"
	holder=$(ours)
	stdout_alone() { [ "$(ls "/proc/$holder/fd")" = 1 ]; }
	eventually stdout_alone
	kill -KILL "$holder"
	"$TOOL" wait-pid "$holder"
}

@test "tool: a sibling is a child of the parent's, and of its session" {
	# shellcheck disable=SC2016 # the inner shell's
	reaped '"$TOOL" sibling exit 5'
	equal "$(grep -c '^exit [0-9]* [05]$' "$D/reaped.log")" 2
	equal "$(grep -c '^exit [0-9]* 5$' "$D/reaped.log")" 1
}

@test "tool: touch, wait-file, wait-pid, mem, spin" {
	"$TOOL" wait-file "$D/later/x" 3>&- &
	mkdir "$D/later"
	"$TOOL" touch "$D/later/x"
	wait $!
	"$TOOL" pause 3>&- &
	kill -KILL $!
	"$TOOL" wait-pid $!
	"$TOOL" mem 8
	"$TOOL" spin 10
}

# --- the scripted runtime as a runtime ---

@test "fake: the life of a container" {
	create c1
	[[ $(cat "$D/pid") =~ ^[0-9]+$ ]]
	equal "$(wc -l <"$D/pid")" 0
	equal "$(status_of c1)" created
	fake state c1 >"$D/state"
	for want in '"id": "c1"' '"pid": '"$(cat "$D/pid")," '"ociVersion": "1.' '"owner": ""' \
		'"bundle": "'"$D/bundle"'"' '"rootfs": "'"$D/bundle/rootfs"'"'; do
		has "$D/state" "$want"
	done
	fake start c1
	equal "$(status_of c1)" running
	equal "$(fake ps --format json c1)" "[$(cat "$D/pid")]"
	eventually has "$D/out" ready
	fake pause c1
	equal "$(status_of c1)" paused
	has "/proc/$(cat "$D/pid")/status" "T (stopped)"
	fake resume c1
	equal "$(fake list -q)" c1
	has <(fake list --format json) '"id":"c1"'
	fake kill c1
	"$TOOL" wait-pid "$(cat "$D/pid")"
	equal "$(status_of c1)" stopped
	has <(fake state c1) '"pid": 0'
	fake delete c1
	equal "$(fake list --format json)" null
	equal "$(cat "$D/out")" ready
	[ ! -s "$D/err" ]
}

@test "fake: refuses in runc's words" {
	fails 1 "container does not exist" fake state c1
	fails 1 "container does not exist" fake start c1
	fails 255 "exec failed: container does not exist" fake exec c1 x
	fails 1 "container does not exist" fake delete c1
	fake delete --force c1
	fails 1 "runc create failed: chdir /none: no such file or directory" \
		fake create --bundle /none c1
	fails 1 "runc create failed: invalid container ID format" \
		fake create --bundle "$D/bundle" ../c1
	create c1
	fails 1 "runc create failed: container with given ID already exists" create c1
	fails 1 "container not paused" fake resume c1
	fails 1 'unknown signal "BLA"' fake kill c1 BLA
	fails 1 "unable to signal init: invalid argument" fake kill c1 99
	fake start c1
	fails 1 "cannot start an already running container" fake start c1
	fails 1 "cannot delete container c1 that is not stopped: running" fake delete c1
	fails 255 'exec failed: unable to start container process: exec: "/no": stat /no: no such file or directory' \
		fake exec c1 /no
	fails 255 'exec failed: unable to start container process: exec: "no": executable file not found in $PATH' \
		fake exec c1 no
	fake pause c1
	fails 255 "exec failed: cannot exec in a paused container (use --ignore-paused to override)" \
		fake exec c1 tool env
	fails 1 "cannot start a container in the paused state" fake start c1
	fake resume c1
	fake kill c1 KILL
	"$TOOL" wait-pid "$(cat "$D/pid")"
	fails 1 "container not running" fake kill c1
	fake kill --all c1
	fails 1 "cannot start a container that has stopped" fake start c1
	fails 255 "exec failed: cannot exec in a stopped container" fake exec c1 tool env
	fake delete c1
	config /bin/none
	fails 1 'runc create failed: unable to start container process: exec: "/bin/none": stat /bin/none: no such file or directory' \
		create c1
	rm "$D/bundle/config.json"
	fails 1 "runc create failed: JSON specification file config.json not found" create c1
	[ -z "$(ls "$ROOT")" ]
	run fake nonsense
	[ "$status" = 3 ]
	run fake start --nonsense c1
	[ "$status" = 1 ]
}

@test "fake: the init leads a session, goes to the subreaper, has stdio and no more" {
	config /bin/tool chain fds -- env -- cwd -- exit 9
	reaped '
		create c1 5</etc/passwd </dev/null
		pid=$(cat "$D/pid")
		set -- $(cat "/proc/$pid/stat")
		# pid, (comm), state, parent, group, session
		echo "$4 $5 $6" >"$D/family"
		echo "$PPID $pid $pid" >"$D/wanted"
		fake start c1
		"$TOOL" wait-pid "$pid"'
	equal "$(cat "$D/family")" "$(cat "$D/wanted")"
	has "$D/reaped.log" "exit $(cat "$D/pid") 9"
	cmp "$D/out" <(printf '%s\n' "0 /dev/null" "1 $D/out" "2 $D/err" PATH=/bin A=B \
		"$D/bundle/rootfs/tmp")
}

@test "fake: exec in the foreground, detached, by process file" {
	local got=0
	create c1
	fake start c1
	equal "$(fake exec --env X=Y --cwd / c1 tool chain env -- cwd)" \
		"$(printf 'PATH=/bin\nA=B\nX=Y\n%s' "$D/bundle/rootfs")"
	fake exec c1 tool exit 44 || got=$?
	equal "$got" 44
	got=0
	fake exec c1 tool kill-self TERM || got=$?
	equal "$got" 143
	echo '{"args": ["tool", "trap", "TERM", "3"], "env": ["PATH=/bin"], "cwd": "/"}' \
		>"$D/process.json"
	fake exec --process "$D/process.json" --detach --pid-file "$D/exec.pid" c1 >"$D/exec.out"
	eventually has "$D/exec.out" ready
	equal "$(fake ps --format json c1)" \
		"[$(printf '%s\n' "$(cat "$D/pid")" "$(cat "$D/exec.pid")" | sort -n | paste -sd,)]"
	fake kill --all c1 KILL
	"$TOOL" wait-pid "$(cat "$D/exec.pid")"
	"$TOOL" wait-pid "$(cat "$D/pid")"
	equal "$(fake ps --format json c1)" "[]"
}

@test "fake: delete --force ends everything that the container started" {
	config /bin/tool chain hold 1000 -- pause
	create c1
	fake start c1
	fake exec -d c1 tool pause >"$D/exec.out"
	three() { equal "$(fake ps --format json c1 | tr -dc ,)" ",,"; }
	eventually three
	fake delete --force c1
	equal "$(ours)" ""
	# a child in a session of its own; a program of the host
	config /usr/bin/setsid --wait "$TOOL" pause
	create c1
	fake start c1
	two() { [[ $(fake ps --format json c1) == *,* ]]; }
	eventually two
	fake delete --force c1
	equal "$(ours)" ""
	[ -z "$(ls "$ROOT")" ]
}

@test "fake: a terminal, its size and its bytes" {
	TERMINAL=true config /bin/tool raw-cat 1M
	"$TOOL" random 4 1M | "$TOOL" console "$D/console" >"$D/tty" 2>"$D/name" 3>&- &
	"$TOOL" wait-file "$D/console"
	create --console-socket "$D/console" c1
	fake start c1
	wait $!
	equal "$(cat "$D/name")" "console /dev/ptmx"
	equal "$(head -c 6 "$D/tty")" ready
	tail -c +7 "$D/tty" | "$TOOL" check 4 1M
	fake delete c1
	TERMINAL=true config /bin/tool winsize
	"$TOOL" console "$D/console" >"$D/tty" 2>"$D/name" </dev/null 3>&- &
	"$TOOL" wait-file "$D/console"
	create --console-socket "$D/console" c1
	fake start c1
	wait $!
	equal "$(tr -d '\r' <"$D/tty")" "33 99"
	fake delete c1
	fails 1 "runc create failed: cannot allocate tty if runc will detach without setting console socket" \
		create c1
	fails 1 "runc create failed: dial unix $D/console: connect: no such file or directory" \
		create --console-socket "$D/console" c1
	config /bin/tool pause
	fails 1 "runc create failed: cannot use console socket if runc will not detach or allocate tty" \
		create --console-socket "$D/console" c1
}

@test "fake: winsize-follow sees every size" {
	TERMINAL=true config /bin/tool winsize-follow
	"$TOOL" console "$D/console" >"$D/tty" 2>"$D/name" </dev/null 3>&- &
	"$TOOL" wait-file "$D/console"
	create --console-socket "$D/console" c1
	fake start c1
	eventually has "$D/tty" "33 99"
	stty rows 50 cols 120 <"/proc/$(cat "$D/pid")/fd/0"
	eventually has "$D/tty" "50 120"
	fake kill c1 TERM
	wait $!
}

@test "fake: run, checkpoint, restore, events, update, features, version" {
	local got=0
	config /bin/tool exit 5
	fake run --bundle "$D/bundle" c1 || got=$?
	equal "$got" 5
	config /bin/tool trap TERM 7
	fake run --detach --bundle "$D/bundle" --pid-file "$D/pid" c1 >"$D/out"
	eventually has "$D/out" ready
	fake checkpoint --image-path "$D/image" --leave-running c1
	alive "$(cat "$D/pid")"
	fake checkpoint --image-path "$D/image" c1
	dead "$(cat "$D/pid")"
	equal "$(fake list -f json)" null
	run ! fake restore --image-path "$D/none" --bundle "$D/bundle" c1
	fake restore --detach --image-path "$D/image" --bundle "$D/bundle" --pid-file "$D/pid" c1 \
		>"$D/out"
	has <(fake events --stats c1) '{"type":"stats","id":"c1"'
	fake events --interval 10ms c1 >"$D/events" &
	eventually has "$D/events" '"id":"c1"'
	echo '{"memory": {"limit": 1}}' | fake update --resources - c1
	fake kill c1 KILL
	wait $!
	has <(fake features) '"ociVersionMin"'
	has <(fake --version) "runc version 1."
}

# --- the script ---

@test "script: a wrong line, or one that fails, ends any call with 70" {
	local line
	for line in "state" "state nonsense" "state sleep x" "state crash now" "create pid-file2 1" \
		"create after:no-pid-file" "create init-killed BLA" "state touch" \
		"* touch /none/x"; do
		script "$line"
		run fake state c1
		equal "$line: $status" "$line: 70"
	done
	script "# comment" "" "   # another" "start hang"
	run fake state c1
	[ "$status" = 1 ]
	run "$FAKE" --script="$D/none" list
	[ "$status" = 70 ]
}

@test "script: touch, wait, after: come in order around the work" {
	script "create touch $D/begun" "create wait $D/go" "create after:touch $D/done" \
		"create after:wait $D/return"
	create c1 &
	"$TOOL" wait-file "$D/begun"
	[ ! -e "$D/pid" ]
	[ ! -e "$ROOT/c1" ]
	[ ! -e "$D/done" ]
	"$TOOL" touch "$D/go"
	"$TOOL" wait-file "$D/done"
	[ -s "$D/pid" ]
	equal "$(status_of c1)" created
	alive $!
	"$TOOL" touch "$D/return"
	wait $!
	script "create after:touch $D/never"
	run ! create c1
	[ ! -e "$D/never" ]
}

@test "script: once" {
	script "state once:fail busy" "state once:after:exit 9" "* once:exit 8"
	run fake list
	[ "$status" = 8 ]
	fails 1 busy fake state c1
	fails 1 "container does not exist" fake state c1
	create c1
	run fake state c1
	[ "$status" = 9 ]
	[[ $output == *created* ]]
	equal "$(status_of c1)" created
	equal "$(cd "$D" && echo script.once.*)" "script.once.1 script.once.2 script.once.3"
}

@test "script: a script beside the program that is called" {
	ln -s "$FAKE" "$D/runc"
	echo "list fail from beside" >"$D/runc.script"
	run "$D/runc" --root "$ROOT" list
	[ "$status" = 1 ]
	[[ $output == *"from beside"* ]]
}

@test "script: hang ignores TERM; its grandchild is in the same group" {
	script "start touch $D/hangs" "start hang" "state touch $D/hangs2" "state grandchild-hang"
	ignores_term() { (((0x$(sed -n 's/^SigIgn:.//p' "/proc/$1/status") & 0x4000) != 0)); }
	fake start c1 &
	"$TOOL" wait-file "$D/hangs"
	local subshell=$! pid child
	pid=$(children_or_self "$subshell")
	ignores_term "$pid"
	kill -TERM "$pid"
	alive "$pid"
	kill -KILL "$pid"
	wait "$subshell" || true

	setsid "$FAKE" --root "$ROOT" --script="$D/script" state c1 >"$D/held" 2>&1 3>&- &
	pid=$!
	"$TOOL" wait-file "$D/hangs2"
	has_child() { child=$(cat "/proc/$pid/task/$pid/children") && [ -n "$child" ]; }
	eventually has_child
	child=${child% }
	ignores_term "$child"
	kill -KILL "$pid"
	wait "$pid" || true
	alive "$child"
	kill -KILL -- "-$pid"
	"$TOOL" wait-pid "$child"
}

children_or_self() {
	local child
	read -r child _ <"/proc/$1/task/$1/children" || true
	echo "${child:-$1}"
}

@test "script: crash" {
	local got=0
	script "create crash"
	create c1 || got=$?
	equal "$got" 137
	[ ! -e "$ROOT/c1" ]
}

@test "script: crash after the fork, after the pid file" {
	local got=0
	script "create crash-after-fork" "start crash-after-fork"
	create c1 || got=$?
	equal "$got" 137
	[ ! -e "$D/pid" ]
	script ""
	equal "$(status_of c1)" created
	fake delete --force c1
	script "create crash-after-pid" "start crash-after-fork"
	got=0
	create c1 || got=$?
	equal "$got" 137
	alive "$(cat "$D/pid")"
	got=0
	fake start c1 || got=$?
	equal "$got" 137
	equal "$(status_of c1)" running
}

@test "script: pid files that lie" {
	local text
	script "create no-pid-file"
	create c1
	[ ! -e "$D/pid" ]
	fake delete c1
	for text in 1 0 -5 abc 99999999999 "two words"; do
		script "create pid-file $text"
		create c1
		equal "$(cat "$D/pid")" "$text"
		fake delete c1
	done
	script "create pid-file empty"
	create c1
	[ -e "$D/pid" ]
	[ ! -s "$D/pid" ]
	fake delete c1
	script "create reused-pid"
	reaped create c1
	equal "$(wc -l <"$D/reaped.log")" 1
	[ ! -e "/proc/$(cat "$D/pid")" ]
	equal "$(status_of c1)" stopped
}

@test "script: noise, and answers that are none" {
	create c1
	script "state stdout-noise 300K" "state stderr-noise 10K" "state log-noise 1K" "state print"
	: >"$LOG"
	fake state c1 >"$D/noise" 2>"$D/noise2"
	equal "$(wc -c <"$D/noise") $(wc -c <"$D/noise2") $(wc -c <"$LOG")" "307201 10240 1024"
	script "state print {\"id\": 3}" "list half-json" "ps half-json"
	equal "$(fake state c1)" '{"id": 3}'
	fake list --format json >"$D/half"
	equal "$(head -c 2 "$D/half")" "[{"
	run ! grep -q ']' "$D/half"
	equal "$(fake ps --format json c1 | head -c 1)" "["
	script "state fail the runtime's own words" "list exit 77"
	fails 1 "the runtime's own words" fake state c1
	run fake list
	[ "$status" = 77 ]
	[ -z "$output" ]
	script "exec fail no" "state after:stdout-noise 128"
	fails 255 no fake exec c1 tool env
	equal "$(fake state c1 | tail -n 1 | wc -c)" 128
}

@test "script: the init is dead when create returns" {
	script "create init-exits 5"
	reaped 'create c1; pid=$(cat "$D/pid"); dead "$pid"; equal "$(status_of c1)" stopped'
	has "$D/reaped.log" "exit $(cat "$D/pid") 5"
	fake delete c1
	script "create init-killed SEGV"
	reaped 'create c1; dead "$(cat "$D/pid")"'
	has "$D/reaped.log" "signal $(cat "$D/pid") 11"
}

@test "script: the init is dead and reaped before create returns" {
	script "create early-orphan" "create init-exits 5" "create after:wait $D/go"
	reaped '
		create c1 & "$TOOL" wait-file "$D/pid"
		eventually has "$D/reaped.log" "exit $(cat "$D/pid") 5" >/dev/null
		[ ! -e "/proc/$(cat "$D/pid")" ]
		[ -n "$(jobs -r)" ]
		"$TOOL" touch "$D/go"
		wait %1'
	equal "$(status_of c1)" stopped
}

@test "script: an exec is dead when exec returns" {
	create c1
	fake start c1
	script "exec init-exits 6"
	reaped 'fake exec -d --pid-file "$D/exec.pid" c1 tool pause; dead "$(cat "$D/exec.pid")"'
	has "$D/reaped.log" "exit $(cat "$D/exec.pid") 6"
	script "exec early-orphan" "exec init-killed KILL"
	reaped 'fake exec -d --pid-file "$D/exec.pid" c1 tool pause; dead "$(cat "$D/exec.pid")"'
	has "$D/reaped.log" "signal $(cat "$D/exec.pid") 9"
	script "exec await-exit"
	reaped 'fake exec -d --pid-file "$D/exec.pid" c1 tool chain spin 300 -- exit 8; dead "$(cat "$D/exec.pid")"'
	has "$D/reaped.log" "exit $(cat "$D/exec.pid") 8"
}

@test "script: the init is dead when start returns" {
	script "start init-exits 5"
	reaped 'create c1; fake start c1; dead "$(cat "$D/pid")"'
	has "$D/reaped.log" "exit $(cat "$D/pid") 5"
	[ ! -s "$D/out" ]
	script "start init-killed 34"
	reaped 'create c2; fake start c2; dead "$(cat "$D/pid")"'
	has "$D/reaped.log" "signal $(cat "$D/pid") 34"
	config /bin/tool burst 1M
	script "start await-exit"
	reaped 'create c3; fake start c3; dead "$(cat "$D/pid")"'
	"$TOOL" check 1 1M <"$D/out"
}

@test "script: somebody holds the runtime's output" {
	script "list hold-stdout" "list print"
	setsid "$FAKE" --root "$ROOT" --script="$D/script" list >"$D/held" 3>&- &
	local pid=$! holder
	wait "$pid"
	holder=$(grep -lx "NSpgid:.$pid" /proc/[0-9]*/status | head -1)
	holder=${holder#/proc/} holder=${holder%/status}
	equal "$(readlink "/proc/$holder/fd/1")" "$D/held"
	kill -KILL -- "-$pid"
	"$TOOL" wait-pid "$holder"
}

@test "script: consoles that never come" {
	TERMINAL=true config /bin/tool pause
	script "create no-console"
	create --console-socket "$D/console" c1
	alive "$(cat "$D/pid")"
	fake delete c1
	script "create bad-console"
	"$TOOL" console "$D/console" >"$D/tty" 2>"$D/name" </dev/null 3>&- &
	"$TOOL" wait-file "$D/console"
	create --console-socket "$D/console" c1
	run ! wait $!
	has "$D/name" '"/dev/ptmx" came without a descriptor'
	alive "$(cat "$D/pid")"
}

@test "script: argv, environment and descriptors are told" {
	script "* argv-to $D/argv" "list env-to $D/env" "list fds-to $D/fds"
	run fake list -q
	run fake state 'a "b"'
	cmp <(sed 's/^.*"--script=[^"]*",//' "$D/argv") \
		<(printf '%s\n' '"list","-q"]' '"state","a \"b\""]')
	env -i X=1 "$FAKE" --root "$ROOT" --script="$D/script" list </dev/null >"$D/out" 2>&1 3>&- \
		4>&- 7<"$D/script"
	equal "$(cat "$D/env")" X=1
	has "$D/fds" "7 $D/script"
	equal "$(head -n 3 "$D/fds")" "$(printf '%s\n' "0 /dev/null" "1 $D/out" "2 $D/out")"
}
