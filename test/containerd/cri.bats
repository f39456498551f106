#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A pod with two containers through containerd's CRI, as a kubelet asks for it: with the fragment of
# config.toml that README.md has, each container under a shim of its own, beside the reference.
# deadline: 180

load lib

POD=k8s.io

setup() {
	/usr/bin/python3 -c 'import grpc' 2>/dev/null || skip "no python3-grpcio here (scripts/setup containerd)"
	containerd_setup
}

teardown() {
	[[ -n ${T-} ]] || return 0
	containerd_teardown
}

# shellcheck disable=SC2317 # containerd_start calls it
write_config() { # TTRPC_SOCKET
	{
		printf 'root = "%s"\nstate = "%s"\n' "$T/root.d" "$T/state.d"
		echo 'disabled_plugins = ["io.containerd.internal.v1.opt"]'
		readme_block 'runtime_type = "io.containerd.cleat.v2"' | sed "s#/etc/cleat/runc.json#$T/runc.json#"
		cat <<-END
			[plugins."io.containerd.grpc.v1.cri"]
			  sandbox_image = "cleat.test/busybox:1"
			  restrict_oom_score_adj = true
			[grpc]
			  address = "$T/c.sock"
			[ttrpc]
			  address = "$1"
			[debug]
			  level = "debug"
		END
	} >"$T/config.toml"
	echo '{"kind": "runc"}' >"$T/runc.json"
}

cri() {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/cri_call.py" "$T/c.sock" "$@"
}

status_is() { # CONTAINER STATE STATUS
	[[ $(cri status "$1") == "$2 $3" ]]
}

# The command lines of the shims of this test's pods.
shims() {
	local file

	{ grep -laF -e "$T/" /proc/[0-9]*/cmdline | while read -r file; do
		tr '\0' ' ' <"$file" && echo
	done; } 2>/dev/null | grep -- "-namespace $POD -id " || true
}

pod() { # HANDLER PROGRAM N-SHIMS
	local pod first second id

	make_image
	"$CTR" --address "$T/c.sock" --namespace "$POD" images import --snapshotter overlayfs \
		"$BATS_FILE_TMPDIR/image.tar" >/dev/null
	pod=$(cri run-pod p "$1" "$T/work")
	first=$(cri create "$pod" first cleat.test/busybox:1 "$T/work/first.log" sh -c 'echo to stdout
		echo to stderr >&2; trap "exit 3" TERM; while :; do sleep 0.1; done')
	second=$(cri create "$pod" second cleat.test/busybox:1 "$T/work/second.log" \
		sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; exit 7')
	cri start "$first"
	cri start "$second"
	assert_equal "$(shims | grep -c "$2 ")" "$3"
	cri exec "$second" touch /tmp/go
	wait_for 10 status_is "$second" exited 7
	assert_equal "$(cri status "$first")" "running 0"
	status=0
	output=$(cri exec "$first" sh -c 'echo inside; exit 5') || status=$?
	assert_equal "$status $output" "5 inside"
	assert [ "$(cri stats "$first")" -gt 0 ]
	wait_for 10 grep -q 'stderr F to stderr' "$T/work/first.log"
	assert grep -q 'stdout F to stdout' "$T/work/first.log"
	cri stop "$first"
	wait_for 10 status_is "$first" exited 3
	cri remove "$first"
	cri remove "$second"
	cri stop-pod "$pod"
	cri remove-pod "$pod"
	wait_for 15 no_shims_of_pods || { shims; return 1; }
	for id in "$pod" "$first" "$second"; do
		assert [ ! -e "$RUNC_STATE/$POD/$id" ]
		assert_equal "$(find /sys/fs/cgroup -type d -name "$id")" ""
		assert [ ! -e "$(socket_of "$POD/$id")" ]
	done
}

no_shims_of_pods() {
	[[ -z $(shims) ]]
}

@test "cleat: a pod of two containers, each under a shim of its own" {
	pod cleat containerd-shim-cleat-v2 3
}

@test "the reference: the same under one shim" {
	pod runc containerd-shim-runc-v2 1
}
