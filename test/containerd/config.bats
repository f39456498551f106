#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What README.md has for containerd's config.toml is what containerd reads from it, and its CRI takes it.
# deadline: 60

load lib

setup() {
	cleat_setup
	: >"$T/ids"
	PLUGIN=io.containerd.grpc.v1.cri
}

teardown() { cleat_teardown; }

fragment() {
	readme_block 'runtime_type = "io.containerd.cleat.v2"'
}

# A table of what containerd has read, without its inner ones.
section() { # NAME
	sed 's/^ *//' "$T/read" | awk -v name="[plugins.\"$PLUGIN\".containerd.runtimes.$1]" '
		/^\[/ { inside = $0 == name } inside && !/^\[|^$/'
}

@test "the fragment for Kubernetes is read: the runtime has its type and its ConfigPath" {
	fragment >"$T/config.toml"
	containerd --config "$T/config.toml" config dump >"$T/read"
	assert_equal "$(section cleat | grep runtime_type)" 'runtime_type = "io.containerd.cleat.v2"'
	assert_equal "$(section cleat.options)" 'ConfigPath = "/etc/cleat/runc.json"'
	assert_equal "$(section runc | grep runtime_type)" 'runtime_type = "io.containerd.runc.v2"'
}

cri_status() {
	"$CTR" --address "$T/c.sock" plugins ls | awk '$1 == "io.containerd.grpc.v1" && $2 == "cri" { print $4 }'
}

@test "the CRI of a containerd that has nothing else in its file works" {
	{
		printf 'root = "%s"\nstate = "%s"\n' "$T/root.d" "$T/state.d"
		echo 'disabled_plugins = ["io.containerd.internal.v1.opt"]'
		fragment
		printf '[grpc]\n  address = "%s"\n' "$T/c.sock"
	} >"$T/config.toml"
	background containerd "$CONTAINERD" --config "$T/config.toml"
	wait_for 20 answers || { tail -n 20 "$T/containerd.err"; return 1; }
	assert_equal "$(cri_status)" ok
}
