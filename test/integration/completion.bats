#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The completion scripts, driven as the shells do it. What they may offer is held against the program's own help.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	"$CLEAT" completion bash >"$T/bash"
	# as an administrator has it
	export CLEAT_RUNTIMES=${CLEAT_RUNTIMES:-$T/runtimes.json}
}

teardown() {
	cleat_teardown
}

# What bash would offer for this line, a line each, sorted. Each argument is a word as bash splits them.
complete() { # WORD...
	# shellcheck disable=SC2016 # expanded there
	bash -c '
		source "$1"
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_cleat
		[[ ${#COMPREPLY[@]} -eq 0 ]] || printf "%s\n" "${COMPREPLY[@]}"' - "$T/bash" "$CLEAT" "$@" |
		LC_ALL=C sort
}

# The same of zsh's, with what of its completion system adds words in places of its own.
complete_zsh() { # WORD...
	# shellcheck disable=SC2016 # expanded there
	zsh -fc '
		compdef() { }
		compset() { print -r -- "without $2" >&2; PREFIX=${PREFIX#$~2} }
		compadd() { print -rl -- ${(M)${(P)2}:#$PREFIX*} }
		_describe() { local -a all=("${(@P)@[-1]}"); print -rl -- ${(M)${all[@]%%:*}:#$PREFIX*} }
		_files() { print -r -- files $@ }
		source $1
		shift
		words=("$@") CURRENT=$# PREFIX=$@[-1]
		_cleat || :' - "$T/_cleat" "$CLEAT" "$@" 2>&1 | grep . | LC_ALL=C sort
}

sorted() { # WORD...
	printf '%s\n' "$@" | LC_ALL=C sort
}

# The options that a help tells of, a word each.
options_of() { # COMMAND...
	"$CLEAT" "$@" --help | sed -nE 's/^  (-.)?,? +(--[a-z-]+).*/\1 \2/p' | tr -s ' ' '\n' | grep .
}

@test "commands, and commands of commands" {
	local all

	all=$("$CLEAT" --help | sed -nE '/^Options:/q; s/^  ([a-z]+) +[A-Z].*/\1/p' | LC_ALL=C sort)
	assert_match "$all" "checkpoint"
	assert_equal "$(complete '')" "$all"
	assert_equal "$(complete --debug -n other '')" "$all"
	assert_equal "$(complete re)" "$(sorted restore resume)"
	assert_equal "$(complete shim '')" "$(sorted exit list ping)"
	assert_equal "$(complete completion '')" "$(sorted bash zsh)"
	assert_equal "$(complete help '')" "$all"
	assert_equal "$(complete help lis)" list
	# of what is no command nothing is known
	assert_equal "$(complete nope '')" ""
	assert_equal "$(complete shim nope '')" ""
	assert_equal "$(complete list '')" ""
}

@test "options: those of the command and the global ones, until the first argument" {
	local command

	for command in run create restore kill delete exec update checkpoint list events stats wait state ls; do
		assert_equal "$(complete $command -)" \
			"$({ options_of $command; options_of; } | LC_ALL=C sort)"
	done
	assert_equal "$(complete -)" "$(options_of | LC_ALL=C sort)"
	assert_equal "$(complete shim list --r)" "$(sorted --root --runtime --runtime-opt)"
	assert_equal "$(complete run --pid)" --pid-file
	assert_equal "$(complete run -td --pid)" --pid-file
	assert_equal "$(complete run web --pid)" ""
	assert_equal "$(complete run -- --pid)" ""
	assert_equal "$(complete exec web ls -)" ""
}

@test "values of options: words, runtimes, folders and files" {
	mkdir -p "$T/work/bundles/web" "$T/work/one dir"
	touch "$T/work/bundle.txt" "$T/work/bundles/file"
	echo '{"v": 1, "runtimes": {"fast": {"kind": "runsc"}, "my-own": {}}}' >"$T/own.json"
	assert_equal "$(complete --format '')" "$(sorted json table)"
	assert_equal "$(complete list --format t)" table
	# as bash splits it where = is a break, and where it is not
	assert_equal "$(complete --format = '')" "$(sorted json table)"
	assert_equal "$(complete --format =)" "$(sorted json table)"
	assert_equal "$(complete list --format = j)" json
	assert_equal "$(complete list --format=j)" --format=json
	assert_equal "$(complete run --cgroups '')" "$(sorted enabled split)"
	assert_equal "$(complete run --sdnotify c)" "$(sorted cleat container)"
	assert_equal "$(CLEAT_RUNTIMES=$T/own.json complete --runtime '')" "$(sorted crun fast my-own runc runsc)"
	assert_equal "$(CLEAT_RUNTIMES=$T/own.json complete run --runtime = f)" fast
	assert_equal "$(CLEAT_RUNTIMES=$T/none complete --runtime '')" "$(sorted crun runc runsc)"
	echo '{' >"$T/own.json"
	assert_equal "$(CLEAT_RUNTIMES=$T/own.json complete --runtime '')" ""
	assert_equal "$(complete run --bundle '')" "$(sorted bundles 'one dir')"
	assert_equal "$(complete run -b bun)" bundles
	assert_equal "$(complete run --bundle = bundles/)" bundles/web
	assert_equal "$(complete run --pid-file bun)" "$(sorted bundles bundle.txt)"
	assert_equal "$(complete update -r bundles/)" "$(sorted bundles/file bundles/web)"
	# an exec's id is no container's, and what is not known is not guessed
	assert_equal "$(complete kill --exec-id '')" ""
	assert_equal "$(complete --deadline '')" ""
}

@test "ids of the containers that are there, by the options on the line" {
	local command

	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "pause"]'
	cleat run -d --bundle "$BUNDLE" "$ID"
	cleat create --bundle "$BUNDLE" "$TAG-d"
	[[ $WAY == shim ]] || cleat -n other create --bundle "$BUNDLE" "$TAG-e"
	if [[ $WAY != shim ]]; then
		for command in state delete rm kill wait exec start pause ps update checkpoint events stats 'shim ping'; do
			# shellcheck disable=SC2086 # two words
			assert_equal "$(complete --root "$ROOT" $command '')" "$(sorted "$ID" "$TAG-d")"
		done
		assert_equal "$(complete --root "$ROOT" -n other state '')" "$TAG-e"
		assert_equal "$(complete state --root = "$ROOT" -nother '')" "$TAG-e"
		assert_equal "$(complete --root "$ROOT" --json --help state '')" "$(sorted "$ID" "$TAG-d")"
		assert_equal "$(complete delete --force --root "$ROOT" "$TAG-c")" "$ID"
		assert_equal "$(complete --root "$ROOT" delete "$ID" '')" ""
		# a value with : and = is one
		assert_equal "$(complete --root "$ROOT" exec -e A = b --user 0 : 0 '')" "$(sorted "$ID" "$TAG-d")"
		assert_equal "$(complete --root "$ROOT" exec "$ID" '')" ""
		cleat -n other delete --force "$TAG-e"
	fi
	assert_equal "$(complete --root "$T/none" state '')" ""
	assert [ ! -e "$T/none" ]
	cleat delete --force "$ID"
	cleat delete --force "$TAG-d"
}

@test "signals of kill, which takes each of them" {
	local signals name

	signals=$(complete kill web '')
	assert_match "$signals" $'\n'"TERM"$'\n'
	assert_equal "$(complete kill web SIGK)" SIGKILL
	assert_equal "$(complete kill web USR)" "$(sorted USR1 USR2)"
	assert_equal "$(complete kill --all web HU)" HUP
	for name in $signals; do
		run --separate-stderr cleat kill nope "$name"
		assert_match "$stderr" "container nope: does not exist"
	done
}

@test "other words than shells are refused by name" {
	run --separate-stderr "$CLEAT" completion fish
	assert_status 125
	assert_match "$stderr" '"fish" is neither bash nor zsh'
}

@test "the script for bash can be sourced by itself, under set -u too" {
	# shellcheck disable=SC2016
	run bash -uc 'source <("$1" completion bash); complete -p cleat' - "$CLEAT"
	assert_status 0
	assert_match "$output" "-F _cleat cleat"
}

@test "zsh takes its script, and completes with it" {
	command -v zsh >/dev/null || skip "there is no zsh"
	"$CLEAT" completion zsh >"$T/_cleat"
	run zsh -n "$T/_cleat"
	assert_status 0
	assert_equal "$output" ""
	assert_equal "$(complete_zsh re)" "$(sorted restore resume)"
	assert_equal "$(complete_zsh shim '')" "$(sorted exit list ping)"
	assert_equal "$(complete_zsh run --pid)" --pid-file
	assert_equal "$(complete_zsh list -)" "$({ options_of list; options_of; } | LC_ALL=C sort)"
	assert_equal "$(complete_zsh shim list -)" "$(options_of | LC_ALL=C sort)"
	assert_equal "$(complete_zsh --format '')" "$(sorted json table)"
	assert_equal "$(complete_zsh list --format=t)" "$(sorted table 'without *=')"
	assert_equal "$(complete_zsh run --bundle '')" "files -/"
	assert_equal "$(complete_zsh run --pid-file=)" "$(sorted files 'without *=')"
	assert_equal "$(complete_zsh kill web SIGK)" SIGKILL
	assert_equal "$(complete_zsh nope '')" ""
	assert_equal "$(complete_zsh --root "$T/none" state '')" ""
	make_bundle "$BUNDLE"
	cleat create --bundle "$BUNDLE" "$ID"
	assert_equal "$(complete_zsh --root "$ROOT" state '')" "$ID"
	assert_equal "$(complete_zsh --root="'$ROOT'" exec -e A=b '')" "$ID"
	cleat delete --force "$ID"
}
