# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the suites against a real containerd stand on, over test/integration/lib.bash: a containerd of
# the test's own in T, whose shims are ours under two names and Debian's for comparison. A suite has
#
#   load lib
#   setup() { containerd_setup; }
#   teardown() { containerd_teardown; }
#
# containerd_setup starts it, with the programs that it is to find in T/bin, and `ctr events` beside it.
# These are for tests to call:
#   use NAME           what follows is under the runtime cleat, runc-cleat or reference: sets WHO=NAME,
#                      R, its name for ctr, and NS, a namespace of this test's and this runtime's own
#   ctr ARGS...        ctr in the namespace NS. $CTR is the program, for what is to run in the background
#   launch [OPTION...] -- COMMAND...  `ctr run` of COMMAND under R as container $C, with busybox around it
#   launch_image [OPTION...] -- COMMAND...  the same from an image, so that the shim mounts the rootfs
#   program            a shell program for a container: says "before", waits for a line in the FIFO
#                      T/share/$C.go, says "after" and that line, waits for one in T/share/$C.end, and exits
#                      with what it says. launch makes the FIFOs
#   tell ID go|end WORD lets a container of that program go on
#   own ID...          these ids (c and d always are) are looked for in NS when the test is over
#   containerd_start [TTRPC_SOCKET]   containerd and `ctr events`; both answer when it returns
#   containerd_end SIGNAL             ends containerd (and with it `ctr events`), and waits for that
#   containerd_freeze, containerd_thaw   stops it (SIGSTOP), so that nothing of it runs; lets it go on
#   shim_of ID, pid_of ID             their pids: the shim's by its command line, the init's by containerd
#   is_dead PID        it is gone, or a zombie
#   events             what `ctr events` has told of NS so far: topic and payload, a line each, tasks only
#   events_complete    waits until everything that is on its way to `ctr events` has arrived
#   readme_block LINE  the block of README.md, between its fences, that has LINE in it
#   forget ID...       removes task and container whatever they are doing
#   cell ROW TEXT      a cell of the table that test/containerd/run prints, in WHO's column
#
# A test fails when it leaves a process, a mount, a cgroup, a file in TMPDIR; a bundle or work folder of
# containerd; a socket of a known id in /run/containerd/s; or what runc keeps of a namespace of ours.
#
# Subtle: namespaces carry TAG, and with them the shims' command lines, cgroups and runc's folders.
# /run/containerd is shared with whoever else runs shims here: only what is known as ours is looked at.

# shellcheck source=../integration/lib.bash
source "$BATS_TEST_DIRNAME/../integration/lib.bash"

CTR=$(type -P ctr)
CONTAINERD=$(type -P containerd)
RUNC_STATE=/run/containerd/runc
SOCKETS=/run/containerd/s
SYSTEM_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

containerd_setup() {
	cleat_setup || return
	[[ -z ${CONTAINERD_FOLDERS-} ]] || echo "$T" >>"$CONTAINERD_FOLDERS"
	make_template || return
	cp -a "$BATS_FILE_TMPDIR/template/rootfs" "$T/rootfs" || return
	C=c
	CONTAINERD_PATH=$T/bin:$SYSTEM_PATH
	mkdir "$T/bin" "$T/fifo" "$T/share"
	chmod 0711 "$T"
	# a copy, so that it is seen to work alone
	cp "$CLEAT_BIN/cleat-shim" "$T/bin/containerd-shim-cleat-v2"
	ln -s containerd-shim-cleat-v2 "$T/bin/containerd-shim-runc-cleat"
	ln -s "$(command -v containerd-shim-runc-v2)" "$T/bin/containerd-shim-runc-v2"
	: >"$T/ids"
	containerd_start
}

containerd_teardown() {
	local status=0

	if [[ -n ${T-} && -n ${BATS_TEST_COMPLETED-} ]] && ! wait_for 10 no_bundles 2>/dev/null; then
		bundles
		status=1
	fi
	cleat_teardown || status=1
	return $status
}

# --- containerd ---

write_config() { # TTRPC_SOCKET
	cat >"$T/config.toml" <<-END
		version = 2
		root = "$T/root.d"
		state = "$T/state.d"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs",
			"io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
			"io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
		[grpc]
		  address = "$T/c.sock"
		[ttrpc]
		  address = "$1"
		[debug]
		  level = "debug"
	END
}

# shellcheck disable=SC2120 # some suites name another socket
containerd_start() {
	write_config "${1:-$T/c.sock.ttrpc}"
	PATH=$CONTAINERD_PATH "$CONTAINERD" --config "$T/config.toml" >>"$T/containerd.err" 2>&1 3>&- </dev/null &
	PID[containerd]=$!
	wait_for 20 answers || { tail -n 20 "$T/containerd.err"; return 1; }
	follow_events
}

answers() {
	"$CTR" --address "$T/c.sock" version >/dev/null 2>&1
}

containerd_end() { # SIGNAL
	local pid=${PID[containerd]}

	disown "$pid"
	kill "-$1" "$pid"
	wait_for 20 is_gone "$pid" || return
	unset "PID[containerd]"
	stop_process "${PID[events]}"
	unset "PID[events]"
}

# One thread takes the signal, and then stops the others: until it gets to run, they go on.
containerd_freeze() {
	kill -STOP "${PID[containerd]}"
	wait_for 10 all_stopped "${PID[containerd]}"
}

all_stopped() { # PID
	[[ -z $(grep -L '^State:.T' "/proc/$1"/task/*/status) ]]
}

containerd_thaw() {
	kill -CONT "${PID[containerd]}"
}

follow_events() {
	"$CTR" --address "$T/c.sock" events >>"$T/events" 2>>"$T/events.err" 3>&- </dev/null &
	PID[events]=$!
	events_marked
}

# A subscription begins when it does: an event of our own is made until one is seen.
events_marked() {
	local end=$((SECONDS + 20 * SLOWER)) mark try

	while [[ $SECONDS -lt $end ]]; do
		mark=$TAG-$RANDOM$RANDOM
		"$CTR" --address "$T/c.sock" namespaces create "$mark" || return
		for try in {1..20}; do
			if grep -qF "$mark" "$T/events"; then
				"$CTR" --address "$T/c.sock" namespaces remove "$mark" >/dev/null
				return
			fi
			sleep 0.02
		done
		"$CTR" --address "$T/c.sock" namespaces remove "$mark" >/dev/null
	done
	echo "no event of our own arrived in 20 s ($try tries each)" >&2
	return 1
}

# A shim is gone once it has handed over all it had to tell; then an event of our own comes last.
events_complete() {
	wait_for 15 no_shims || return
	events_marked
}

# The list of numbers is taken first, and read by one program: it is asked often.
# shellcheck disable=SC2120 # without ID: any of NS
shim_of() { # [ID]
	local file line

	{ grep -laF -e "$NS" /proc/[0-9]*/cmdline | while read -r file; do
		line=" $(tr '\0' ' ' <"$file")" || continue
		[[ $line == *" -namespace $NS "* && $line == *" -id ${1-}"* ]] || continue
		[[ -z ${1-} || $line == *" -id $1 "* ]] || continue
		[[ $line == *" start " || $line == *" delete " ]] || basename "${file%/cmdline}"
	done; } 2>/dev/null
}

no_shims() {
	[[ -z $(shim_of) ]]
}

# --- ctr ---

use() {
	WHO=$1
	case $WHO in
	cleat) R=io.containerd.cleat.v2 ;;
	runc-cleat) R=io.containerd.runc.cleat ;;
	reference) R=io.containerd.runc.v2 ;;
	esac
	NS=$TAG-$WHO
	own c d
}

own() { # ID...
	local id

	for id; do
		grep -qxF "$NS/$id" "$T/ids" || echo "$NS/$id" >>"$T/ids"
	done
}

ctr() {
	"$CTR" --address "$T/c.sock" --namespace "$NS" "$@" 3>&-
}

# The arguments of `ctr` for a container $C, in ARGS.
launch_args() { # [OPTION...] -- COMMAND...
	ARGS=(run --runtime "$R" --fifo-dir "$T/fifo" --env PATH=/bin --rootfs
		--mount "type=bind,src=$T/share,dst=/share,options=rbind:rw")
	while [[ $1 != -- ]]; do
		ARGS+=("$1")
		shift
	done
	shift
	ARGS+=("$T/rootfs" "$C" "$@")
}

launch() {
	local ARGS

	launch_args "$@"
	fifos
	ctr "${ARGS[@]}"
}

# An image of one layer, busybox, made once for each suite file, in the form that ctr imports.
make_image() {
	local dir=$BATS_FILE_TMPDIR/image

	[[ ! -e $dir.tar ]] || return 0
	mkdir -p "$dir/blobs/sha256" || return
	tar -C "$BATS_FILE_TMPDIR/template/rootfs" -cf "$dir/layer" .
	jq -n --arg layer "sha256:$(sha256sum <"$dir/layer" | cut -d' ' -f1)" \
		'{architecture: "amd64", os: "linux", config: {Env: ["PATH=/bin"], Cmd: ["sleep", "10000"]},
		rootfs: {type: "layers", diff_ids: [$layer]}}' >"$dir/config"
	jq -n --argjson config "$(blob "$dir" config image.config.v1+json)" \
		--argjson layer "$(blob "$dir" layer image.layer.v1.tar)" \
		'{schemaVersion: 2, config: $config, layers: [$layer]}' >"$dir/manifest"
	jq -n --argjson manifest "$(blob "$dir" manifest image.manifest.v1+json)" '{schemaVersion: 2,
		manifests: [$manifest + {annotations: {"io.containerd.image.name": "cleat.test/busybox:1"}}]}' \
		>"$dir/index.json"
	echo '{"imageLayoutVersion": "1.0.0"}' >"$dir/oci-layout"
	tar -C "$dir" -cf "$dir.tar" oci-layout index.json blobs
}

# Moves a file among the blobs, and prints what tells of it.
blob() { # DIR NAME TYPE
	local digest

	digest=$(sha256sum <"$1/$2" | cut -d' ' -f1)
	jq -n --arg type "application/vnd.oci.$3" --arg digest "sha256:$digest" \
		--argjson size "$(stat -c %s "$1/$2")" '{mediaType: $type, digest: $digest, size: $size}'
	mv "$1/$2" "$1/blobs/sha256/$digest"
}

launch_image() { # [OPTION...] -- COMMAND...
	local options=()

	if [[ $(ctr images ls -q) != *cleat.test/busybox:1* ]]; then
		make_image && ctr images import --snapshotter overlayfs "$BATS_FILE_TMPDIR/image.tar" >/dev/null ||
			return
	fi
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	fifos
	ctr run --runtime "$R" --fifo-dir "$T/fifo" --snapshotter overlayfs \
		--mount "type=bind,src=$T/share,dst=/share,options=rbind:rw" "${options[@]}" \
		cleat.test/busybox:1 "$C" "$@"
}

fifos() {
	rm -f "$T/share/$C".{go,end}
	mkfifo "$T/share/$C".{go,end}
}

program() {
	echo "echo before; read x </share/$C.go; echo after \$x; read x </share/$C.end; exit \$x"
}

tell() { # ID go|end WORD
	echo "$3" >"$T/share/$1.$2"
}

pid_of() { # ID
	ctr task ls | awk -v id="$1" '$1 == id { print $2 }'
}

# What a killed shim leaves to process 1 may stay a zombie for as long as that likes.
is_dead() { # PID
	is_gone "$1" || grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null || is_gone "$1"
}

status_is() { # ID STATUS
	[[ $(ctr task ls | awk -v id="$1" '$1 == id { print $3 }') == "$2" ]]
}

forget() { # ID...
	local id tasks containers

	tasks=" $(ctr task ls -q 2>&1 | tr '\n' ' ') "
	containers=" $(ctr containers ls -q 2>&1 | tr '\n' ' ') "
	for id; do
		if [[ $tasks == *" $id "* ]]; then
			status_is "$id" PAUSED && ctr task resume "$id" || true
			ctr task rm --force "$id" || true
		fi
		[[ $containers != *" $id "* ]] || ctr containers rm "$id" || true
	done >/dev/null 2>&1
}

events() {
	sed -n "s/^.* UTC $NS \(\/tasks\/.*\)$/\1/p" "$T/events"
}

# --- what is left ---

bundles() {
	find "$T"/{state,root}.d/io.containerd.runtime.v2.task/*/ -mindepth 1 -maxdepth 1 2>/dev/null |
		sed 's/^/left in containerd: /'
}

no_bundles() {
	[[ -z $(bundles) ]]
}

# The address of a shim is made from containerd's own, the namespace and the id.
socket_of() { # NS/ID
	echo "$SOCKETS/$(printf '%s' "$T/c.sock/$1" | sha256sum | cut -d' ' -f1)"
}

test_files() {
	local id path

	while read -r id; do
		path=$(socket_of "$id")
		[[ ! -e $path ]] || echo "$path ($id)"
	done <"$T/ids"
	find "${RUNC_STATE:?}/${TAG:?}"* -mindepth 1 2>/dev/null
	find "$T/tmp" -mindepth 1
}

# Of a cgroup /NS/ID runc takes ID away, and leaves NS, whoever calls it.
test_cgroups() {
	find /sys/fs/cgroup -depth -type d -path "*/$TAG-*/*" 2>/dev/null
}

# The lib's own, and what a test left in the folders that are shared.
clean_up() {
	local id

	wait_for 10 no_processes
	test_mounts | sort -r | xargs -r umount -l
	wait_for 10 no_cgroups
	find /sys/fs/cgroup -depth -type d -name "$TAG-*" -exec rmdir {} + 2>/dev/null
	while read -r id; do
		rm -f "$(socket_of "$id")"
	done <"$T/ids"
	rm -rf --one-file-system "${RUNC_STATE:?}/${TAG:?}"*
	rm -rf --one-file-system "$T"
}

# --- README.md ---

readme_block() { # LINE
	awk -v line="$1" '
		/^```/ { inside = !inside; if (!inside && found) { printf "%s", text; exit } text = ""; next }
		inside { text = text $0 "\n"; if (index($0, line)) found = 1 }
	' "$BATS_TEST_DIRNAME/../../README.md"
}

# --- the table ---

cell() { # ROW TEXT
	[[ -z ${CONTAINERD_TABLE-} ]] || printf '%s\t%s\t%s\n' "$1" "$WHO" "$2" >>"$CONTAINERD_TABLE"
}
