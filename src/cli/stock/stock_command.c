/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev guest: fetches a stock guest, or packs an initramfs. Helper programs in Python read the
 * archive's packages, so that no code in C has to parse ar, tar, xz and signatures.
 */
#include "cli/stock/stock.h"
#include "cli/stock/stock_table.h"

#include "cli/cli.h"

#include <stdio.h>

#define WORDS_MAX (8u + OPTION_LIST_MAX)

static const char *given_or(const struct options *o, u8 id, const char *otherwise)
{
    return o->text[id] ? o->text[id] : otherwise;
}

/* Finds the guest's first program and its agent; an empty agent means that there is none. */
static int find_parts(const struct options *o, char init[PATH_MAX], char agent[PATH_MAX],
                      struct error *e)
{
    agent[0] = '\0';
    if (o->text[STOCK_INIT])
        snprintf(init, PATH_MAX, "%s", o->text[STOCK_INIT]);
    else if (stock_find("guest-init", init, e))
        return -1;
    if (o->text[STOCK_AGENT])
        snprintf(agent, PATH_MAX, "%s", o->text[STOCK_AGENT]);
    else if (!o->text[STOCK_NO_AGENT] && !stock_find_agent(agent))
        agent[0] = '\0';
    return 0;
}

static int check_added(const struct options *o, struct error *e)
{
    for (size_t i = 0; i < o->list_count; i++) {
        const char *at = strchr(o->list[i], '=');
        if (!at || at == o->list[i] || !at[1])
            return error_set(e, ERROR_USAGE,
                             "--add '%.200s' should be PATH=FILE, such as bin/probe=./probe",
                             o->list[i]);
    }
    return 0;
}

/* Checks that the archive overwrites none of its parts, those that nobody has named included. */
static int check_kept(const struct options *o, const char *busybox, const char *init,
                      const char *agent, struct error *e)
{
    const char *out = o->text[STOCK_INITRD], *part = NULL;
    const char *const parts[] = {busybox, init, agent};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (option_one_file(parts[i], out))
            part = parts[i];
    for (size_t i = 0; i < o->list_count; i++)
        if (option_one_file(strchr(o->list[i], '=') + 1, out))
            part = out;
    return part ? error_set(e, ERROR_USAGE,
                            "--initrd: %s would be overwritten, which is packed; give another name",
                            part)
                : 0;
}

/* Checks a name of a suite or package, which becomes part of an address. */
static int check_name(const struct options *o, u8 id, struct error *e)
{
    const char *text = o->text[id];
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
    if (!text || (text[0] != '.' && text[0] != '-' && text[0] && !text[strspn(text, allowed)]))
        return 0;
    return error_set(e, ERROR_USAGE,
                     "--%s '%.80s' should have lower-case letters, digits, '+', '-' and '.'",
                     o->table->rows[id].name, text);
}

static int fetch(const struct options *o, char *words[WORDS_MAX], char *init, char *agent,
                 struct error *e)
{
    if (check_name(o, STOCK_SUITE, e) || check_name(o, STOCK_PACKAGE, e))
        return -1;
    const char *const arguments[] = {o->text[STOCK_OUT],
                                     given_or(o, STOCK_SUITE, STOCK_SUITE_DEFAULT),
                                     given_or(o, STOCK_PACKAGE, STOCK_PACKAGE_DEFAULT),
                                     given_or(o, STOCK_MIRROR, STOCK_MIRROR_DEFAULT),
                                     given_or(o, STOCK_KEYRING, STOCK_KEYRING_DEFAULT),
                                     init,
                                     agent};
    memcpy(words + 1, arguments, sizeof arguments);
    return 0;
}

static int pack(const struct options *o, char *words[WORDS_MAX], char *init, char *agent,
                struct error *e)
{
    if (check_added(o, e))
        return -1;
    const char *const arguments[] = {given_or(o, STOCK_BUSYBOX, "/bin/busybox"), init,
                                     o->text[STOCK_MODULES], o->text[STOCK_INITRD], agent};
    if (check_kept(o, arguments[0], init, agent, e))
        return -1;
    memcpy(words + 1, arguments, sizeof arguments);
    memcpy(words + 1 + ARRAY_SIZE(arguments), o->list, o->list_count * sizeof *words);
    return 0;
}

static const struct {
    const char *helper;
    int (*arguments)(const struct options *, char *words[WORDS_MAX], char *init, char *agent,
                     struct error *);
} actions[] = {
    [STOCK_FETCH] = {"fetch-guest", fetch},
    [STOCK_PACK] = {"pack-initrd", pack},
};

int cli_stock(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options o;
    int status;
    char helper[PATH_MAX], init[PATH_MAX], agent[PATH_MAX], *words[WORDS_MAX] = {helper};
    if (!options_open(&cli_stock_table, argc, argv, &o, &status))
        return status;
    if (stock_find(actions[o.action].helper, helper, &e) || find_parts(&o, init, agent, &e) ||
        actions[o.action].arguments(&o, words, init, agent, &e) || stock_run(words, &e))
        return e.text[0] ? cli_fail("guest", &e) : (int)e.code;
    return ERROR_NONE;
}
