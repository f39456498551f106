/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of cleat-shim: flags as containerd's shims have them, then start, delete, and ours. */
#include <stdio.h>
#include <string.h>

#include "shim/mount_verb.h"
#include "shim/verbs.h"

static const char help[] =
	"usage: cleat-shim -namespace NS -id ID [-root DIR] [-debug] [-ttrpc-address SOCKET] start\n"
	"       cleat-shim -namespace NS -id ID [-root DIR] delete\n"
	"       cleat-shim -v\n"
	"\n"
	"start   puts the shim of one container into the background and prints its address\n"
	"delete  removes what a dead shim left\n"
	"\n"
	"  -root DIR              cleat's own folder; /run/cleat, or $XDG_RUNTIME_DIR/cleat\n"
	"  -ttrpc-address SOCKET  forward every event to containerd's ttrpc socket there;\n"
	"                         $TTRPC_ADDRESS if not given, and nowhere if that is not set or\n"
	"                         empty. cleat itself always gives an empty one.\n"
	"  -debug                 log more\n";

int main(int argc, char **argv)
{
	struct verb_options options = { 0 };
	int r = verb_parse(argc, argv, &options);

	if (r != 0)
		return r;
	if (options.version) {
		printf("cleat-shim %s\n", CLEAT_VERSION);
		return 0;
	}
	if (options.help) {
		fputs(help, stdout);
		return 0;
	}
	if (strcmp(options.verb, "start") == 0)
		return verb_start(&options);
	if (strcmp(options.verb, "serve") == 0)
		return verb_serve(&options);
	if (strcmp(options.verb, "delete") == 0)
		return verb_delete(&options);
	if (strcmp(options.verb, "sweep") == 0)
		return verb_sweep(&options);
	if (strcmp(options.verb, "mount") == 0 || strcmp(options.verb, "unmount") == 0)
		return mount_verb(argc - options.first, argv + options.first);
	fprintf(stderr, "cleat-shim: \"%s\" is not a command: start, delete\n", options.verb);
	return 2;
}
