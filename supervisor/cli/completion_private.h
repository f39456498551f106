/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What of the scripts is no table. Both call _cleat_tables, which fills, of their caller,
 *
 *   known_commands, known_signals   words
 *   known_aliases[" ls"]            list
 *   known_options[" run"]           words; of every command, "" too; [" "]: the global ones
 *   subs[" shim"]                   words, of those commands that have some
 *   values["run --bundle"]          the kind of its value; [" --root"]: of a global option's
 *   args["kill 0"]                  the kind of an argument
 *   wheres["--root"]                of those global options that say where containers are
 *   briefs                          in zsh: as known_options, and ["COMMAND"]: "WORD:TEXT" a line each
 *
 * A kind is a word as completion.h has them, or "=" and words to choose from.
 */

extern const char completion_common[], completion_bash[], completion_zsh[];
