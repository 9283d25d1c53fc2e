/* SPDX-License-Identifier: Apache-2.0 */
/* softsev: one program, one subcommand for each thing a person does with the machine. */
#include <stdio.h>

int main(void)
{
    puts("softsev");
    return 0;
}
