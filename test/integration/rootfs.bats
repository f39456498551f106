#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A rootfs that Create mounts by its list, as containerd asks for it: there while the container is,
# gone with it, and the folder too where it was made for that.

load lib

setup() {
	cleat_setup
	make_bundle "$BUNDLE"
	mv "$BUNDLE/rootfs" "$T/lower"
}

teardown() {
	cleat_teardown
}

call() {
	"$BATS_TEST_DIRNAME/task_call.py" "$SOCKET" "$@"
}

start_shim() {
	SOCKET=$("$CLEAT_BIN/cleat-shim" -root "$ROOT" -namespace default -id "$ID" start 3>&-)
	SOCKET=${SOCKET#unix://}
}

create_and_delete() {
	call create-on "$T/lower" "$ID" "$BUNDLE" "" "" "" >/dev/null
	call start "$ID" "" >/dev/null
	assert_equal "$(test_mounts)" "$BUNDLE/rootfs"
	run cleat exec "$ID" tool exit 6
	assert_status 6
	background events "$CLEAT" --root "$ROOT" events --since 0 "$ID"
	wait_for 5 grep -q /tasks/start "$T/events.out"
	cleat delete --force "$ID"
	finish events
	assert_equal "$(jq -c 'select(.topic == "/tasks/create") | .rootfs' <<<"$output")" \
		"[{\"type\":\"bind\",\"source\":\"$T/lower\",\"target\":\"\",\"options\":[\"rbind\"]}]"
	assert_equal "$(test_mounts)" ""
	assert test -e "$T/lower/bin/tool"
}

@test "a folder that was made for the rootfs goes with the container" {
	start_shim
	create_and_delete
	assert test ! -e "$BUNDLE/rootfs"
}

@test "a folder that was there stays" {
	mkdir "$BUNDLE/rootfs"
	start_shim
	create_and_delete
	assert test -d "$BUNDLE/rootfs"
}

@test "a create that fails leaves neither mount nor folder, and of a folder that was there nothing" {
	start_shim
	edit_config "$BUNDLE" '.mounts += [{destination: "/mnt", type: "bind", source: "/none/such",
		options: ["bind"]}]'
	for folder in no yes; do
		run call create-on "$T/lower" "$ID" "$BUNDLE" "" "" ""
		assert_match "$output" "OCI runtime create failed: "
		[[ $RUNTIME == runsc ]] || assert_match "$output" "/none/such"
		assert_equal "$(test_mounts)" ""
		assert_equal "$(test -e "$BUNDLE/rootfs" && echo yes || echo no)" "$folder"
		run call create-on "$T/nothing" "$ID" "$BUNDLE" "" "" ""
		assert_match "$output" "No such file or directory"
		assert_equal "$(test -e "$BUNDLE/rootfs" && echo yes || echo no)" "$folder"
		mkdir -p "$BUNDLE/rootfs"
	done
	cleat shim exit "$ID"
}

@test "a shim that is told to end finishes a delete that unmounts" {
	start_shim
	call create-on "$T/lower" "$ID" "$BUNDLE" "" "" "" >/dev/null
	call start "$ID" "" >/dev/null
	local shim holder
	shim=$(jq .pid "$ROOT/c/default/$ID/shim.json")
	cleat kill "$ID" KILL
	cleat wait "$ID" || true
	# while the mount is in use the unmounting is under way
	cd "$BUNDLE/rootfs"
	background holder sleep 60
	cd "$T"
	holder=${PID[holder]}
	background delete call delete "$ID" ""
	wait_for 5 pgrep -P "$shim" -f unmount
	kill "$shim"
	kill "$holder"
	finish holder
	finish delete
	assert_status 0
	assert_equal "$(test_mounts)" ""
	assert test ! -e "$ROOT/c/default/$ID"
}
