/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of cleat-shim: flags as containerd's shims have them, then start, delete, and ours. */
#include <stdio.h>
#include <string.h>

#include "shim/mount_verb.h"
#include "shim/verb_info.h"
#include "shim/verbs.h"

static const char help[] =
	"usage: cleat-shim -namespace NS -id ID [-root DIR] [-debug] [-ttrpc-address SOCKET]\n"
	"                  [-cgroup PATH] start\n"
	"       cleat-shim -namespace NS -id ID [-root DIR] delete\n"
	"       containerd-shim-cleat-v2 -namespace NS -id ID -address SOCKET [-publish-binary FILE]\n"
	"                                [-bundle DIR] [-socket SOCKET] [-debug] start|delete\n"
	"       cleat-shim -v | -info\n"
	"\n"
	"start   puts the shim of one container into the background and prints its address\n"
	"delete  removes what a dead shim left\n"
	"\n"
	"  -root DIR              cleat's own folder; /run/cleat, or $XDG_RUNTIME_DIR/cleat\n"
	"  -ttrpc-address SOCKET  forward every event to containerd's ttrpc socket there;\n"
	"                         $TTRPC_ADDRESS if not given, and nowhere if that is not set or\n"
	"                         empty. cleat itself always gives an empty one.\n"
	"  -cgroup PATH           the cgroup (of version 2) that the shim is to be in, from the hierarchy's root;\n"
	"                         it is made. This command's own if not given\n"
	"  -debug                 log more\n"
	"\n"
	"As containerd calls it (a name that begins with containerd-shim-, or one of its flags, and no\n"
	"-root) the state lies in the bundle: the working folder, or that of -bundle for delete.\n"
	"\n"
	"  -address SOCKET        containerd's own; by it the shim's socket is named\n"
	"  -socket SOCKET         the shim's socket, instead\n"
	"  -info                  print what the runtime can do, as a RuntimeInfo\n";

int main(int argc, char **argv)
{
	struct verb_options options = { 0 };
	int r = verb_parse(argc, argv, &options);

	if (r != 0)
		return r;
	if (options.version)
		return verb_version(&options);
	if (options.info)
		return verb_info(&options);
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
	if (strcmp(options.verb, "mount") == 0 || strcmp(options.verb, "unmount") == 0 ||
		strcmp(options.verb, "userns") == 0)
		return mount_verb(argc - options.first, argv + options.first);
	fprintf(stderr, "cleat-shim: \"%s\" is not a command: start, delete\n", options.verb);
	return 2;
}
