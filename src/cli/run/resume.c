/* SPDX-License-Identifier: Apache-2.0 */
/* `softsev resume`: `softsev run` with the options of a snapshot before those that are given. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/run/run.h"
#include "cli/run/snapshot.h"

#include <stdlib.h>

const struct option_table cli_resume_table = {
    .command = "resume",
    .title = "go on with a run from a snapshot of it",
    .usage = "softsev resume FILE [OPTIONS of softsev run]",
    .about = "Makes the machine of a snapshot that `softsev run --snapshot` took and goes on.\n"
             "Options that made the machine come from the file; a given one replaces it.\n"
             "Disks, network and serial port are not in the file: give them as they were.",
    .rest = true,
};

/* Returns true if the user gives this option himself. */
static bool is_given(const char *word, char **given)
{
    const size_t size = strcspn(word, "=");
    for (; *given; given++)
        if (!strncmp(*given, word, size) && ((*given)[size] == '=' || !(*given)[size]))
            return true;
    return false;
}

/* The command line of a run; NULL: no memory. The words stay where they are. */
static char **join(const struct snapshot *s, char **given, int *argc)
{
    int count = 0;
    while (given[count])
        count++;
    char **argv = calloc(s->word_count + (size_t)count + 2, sizeof *argv);
    if (!argv)
        return NULL;
    *argc = 0;
    argv[(*argc)++] = "run";
    for (u32 i = 0; i < s->word_count; i++)
        if (!is_given(s->words[i], given))
            argv[(*argc)++] = s->words[i];
    for (int i = 0; i < count; i++)
        argv[(*argc)++] = given[i];
    return argv;
}

int cli_resume(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    struct snapshot s;
    int status;
    if (!options_open(&cli_resume_table, argc, argv, &given, &status))
        return status;
    if (!given.operand_count) {
        error_set(&e, ERROR_USAGE, "the file of a snapshot should be given; see --help");
        return cli_fail("resume", &e);
    }
    if (snapshot_open(given.operands[0], &s, &e)) {
        snapshot_close(&s);
        return cli_fail("resume", &e);
    }
    char **words = join(&s, given.operands + 1, &argc);
    if (!words)
        cli_end_without_memory();
    status = run_main(argc, words, &s);
    free(words);
    snapshot_close(&s);
    return status;
}
