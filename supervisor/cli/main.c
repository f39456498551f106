/* SPDX-License-Identifier: Apache-2.0 */
/* The program `cleat`: everything is in cli.c and the command groups beside it. */
#include "supervisor/cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
