/* SPDX-License-Identifier: Apache-2.0 */
/* softsev attack: lists published attacks, and plays each of them in each mode. */
#include "cli/attack/attack_lab.h"

#include "cli/cli.h"
#include "cli/settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

struct choice {
    const char *name; /* NULL: all */
    u64 mode;         /* SETTINGS_ALL_MODES: all */
    bool json, markdown;
};

/* --- Options ---------------------------------------------------------------------------------- */

enum attack_action { ATTACK_LIST, ATTACK_RUN };
enum attack_option { ATTACK_MODE = 1, ATTACK_JSON, ATTACK_MARKDOWN };

#define A(action) (1u << ATTACK_##action)

// clang-format off
static const struct option_action actions[] = {
    [ATTACK_LIST] = {"list", "list the attacks, and what is expected in each mode",
        .man = "Lists the attacks, who published them, what the host does, and what is expected "
        "in each mode."},
    [ATTACK_RUN] = {"run", "play one attack or all, and print what was observed", .operands = 1,
        .operand = "NAME|all",
        .words = "all $(softsev attack list 2>/dev/null | sed -n \"s/^\\([a-z][a-z-]*\\) "
        ".*/\\1/p\")",
        .man = "Plays the attack\n.Ar name ,\nor\n.Cm all ,\nand prints what was observed."},
};

static const struct option_row rows[] = {
    [ATTACK_MODE] = {"mode", OPTION_CHOICE, "MODE",
        "the guest's protection: none, sev, sev-es, sev-snp or all\n(default all)",
        "How the guest is protected:\n.Cm none , sev , sev-es , sev-snp\nor\n.Cm all\n"
        "(the default).", .choices = settings_all_modes,
        .standard = SETTINGS_ALL_MODES, .actions = A(RUN)},
    [ATTACK_JSON] = {"json", OPTION_FLAG, NULL,
        "print JSON: `run` an object a line, `list` one array",
        .man = ".Cm run\nwrites one object a line, with\n.Cm attack , mode , seen\nand\n"
        ".Cm expected\n(each with\n.Cm verdict , event\nand the firmware's\n.Cm status ) ,\n"
        ".Cm as_expected\nand\n.Cm told ;\n.Cm list\nwrites an array."},
    [ATTACK_MARKDOWN] = {"markdown", OPTION_FLAG, NULL, "print the table of softsev's README",
        "Print the table of softsev's README.", .actions = A(LIST),
        .excludes = OPTION_IDS(ATTACK_JSON)},
};
// clang-format on

const struct option_table cli_attack_table = {
    .command = "attack",
    .title = "play published attacks of a malicious host, and see what stops them",
    .usage = "softsev attack list [--json | --markdown]\n"
             "softsev attack run NAME|all [--mode MODE] [--json]",
    .about = "Plays published attacks of a malicious host on a small guest, which reports\n"
             "what it finds. The attacker has only what a host has. Each attack is played\n"
             "twice: once the guest is left alone, once it is attacked.",
    .after = "Exit code 0: all went as expected, also where an attack breaks the guest.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
};

/* --- list ------------------------------------------------------------------------------------- */

static void print_list(void)
{
    for (u32 i = 0; i < attack_count; i++) {
        const struct attack *a = &attacks[i];
        printf("%-22s %s (%s)\n", a->name, a->title, a->source);
        printf("    the host %s\n", a->host);
        for (u32 mode = 0; mode < ATTACK_MODES; mode++) {
            char text[120];
            attack_outcome_text(&a->expected[mode], text);
            printf("    %-8s %s\n", image_mode_name((enum image_mode)mode), text);
        }
    }
}

static void print_markdown(void)
{
    puts("| attack | published | none | SEV | SEV-ES | SEV-SNP |\n|---|---|---|---|---|---|");
    for (u32 i = 0; i < attack_count; i++) {
        const struct attack *a = &attacks[i];
        printf("| `%s`: %s | %s |", a->name, a->title, a->source);
        for (u32 mode = 0; mode < ATTACK_MODES; mode++) {
            char text[120];
            attack_outcome_text(&a->expected[mode], text);
            bool breaks = a->expected[mode].verdict == ATTACK_BREAKS;
            printf(" %s |", breaks ? attack_verdict_name(ATTACK_BREAKS) : text);
        }
        putchar('\n');
    }
}

static json_t *outcome_json(const struct attack_outcome *o)
{
    return json_pack("{s:s, s:s, s:i}", "verdict", attack_verdict_name(o->verdict), "event",
                     attack_event_name(o->event), "status", (int)o->status);
}

static int list_json(struct error *e)
{
    json_t *all = json_array();
    for (u32 i = 0; all && i < attack_count; i++) {
        const struct attack *a = &attacks[i];
        json_t *expected = json_object();
        for (u32 mode = 0; mode < ATTACK_MODES; mode++)
            json_object_set_new(expected, image_mode_name((enum image_mode)mode),
                                outcome_json(&a->expected[mode]));
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:s*, s:o}", "name", a->name,
                                             "title", a->title, "source", a->source, "host",
                                             a->host, "profile", a->profile, "expected", expected));
    }
    return cli_tell_json(all, e);
}

static int list(const struct choice *c, struct error *e)
{
    if (c->json)
        return list_json(e);
    if (c->markdown)
        print_markdown();
    else
        print_list();
    return 0;
}

/* --- run -------------------------------------------------------------------------------------- */

static bool print_result(const struct choice *c, const struct attack *a, enum image_mode mode,
                         const struct attack_result *r, bool right)
{
    char text[120];
    if (c->json) {
        json_t *j =
            json_pack("{s:s, s:s, s:o, s:o, s:b, s:s}", "attack", a->name, "mode",
                      image_mode_name(mode), "seen", outcome_json(&r->seen), "expected",
                      outcome_json(&a->expected[mode]), "as_expected", right, "told", r->told);
        return cli_print_json(j);
    }
    attack_outcome_text(&r->seen, text);
    printf("%-22s %-8s %s\n%-31s %s\n", a->name, image_mode_name(mode), text, "", r->told);
    if (right)
        return true;
    attack_outcome_text(&a->expected[mode], text);
    printf("%-31s expected was: %s\n", "", text);
    return true;
}

static int run_one(struct cli_attack_lab *lab, const struct choice *c, const struct attack *a,
                   enum image_mode mode, struct error *e)
{
    struct attack_result r;
    if (attack_run(a, mode, &lab->machines, lab->owner, &r, e))
        return -1;
    bool right = attack_as_expected(a, mode, &r);
    if (!print_result(c, a, mode, &r, right))
        return error_set(e, ERROR_FILE, "standard output cannot be written: %s", strerror(errno));
    return right ? 0 : error_set(e, ERROR_INTERNAL, "not what is expected of this attack");
}

/* Reports each run that failed. Returns the exit code of the first. */
static int run_and_tell(struct cli_attack_lab *lab, const struct choice *c, const struct attack *a,
                        enum image_mode mode)
{
    struct error e = {.code = ERROR_NONE}, named = {.code = ERROR_NONE};
    if (!run_one(lab, c, a, mode, &e))
        return ERROR_NONE;
    error_set(&named, e.code, "%s, mode %s: %s", a->name, image_mode_name(mode), e.text);
    return cli_fail("attack", &named);
}

static int run(const struct choice *c)
{
    struct cli_attack_lab lab;
    struct error e = {.code = ERROR_NONE};
    int result = ERROR_NONE;
    if (c->name && !attack_find(c->name))
        error_set(&e, ERROR_USAGE, "there is no attack '%s'; `softsev attack list` lists them",
                  c->name);
    if (e.code || cli_attack_open(&lab, &e))
        return cli_fail("attack", &e);
    for (u32 i = 0; i < attack_count; i++) {
        for (u32 mode = 0; mode < ATTACK_MODES; mode++) {
            if ((c->name && strcmp(c->name, attacks[i].name)) ||
                (c->mode != SETTINGS_ALL_MODES && c->mode != mode))
                continue;
            int code = run_and_tell(&lab, c, &attacks[i], (enum image_mode)mode);
            result = result ? result : code;
        }
    }
    cli_attack_close(&lab);
    return result;
}

/* --- The command line ------------------------------------------------------------------------- */

int cli_attack(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_attack_table, argc, argv, &given, &status))
        return status;
    struct choice c = {.mode = options_choice(&given, ATTACK_MODE),
                       .json = given.text[ATTACK_JSON],
                       .markdown = given.text[ATTACK_MARKDOWN]};
    if (given.action == ATTACK_LIST)
        return list(&c, &e) ? cli_fail("attack", &e) : ERROR_NONE;
    if (!given.operand_count) {
        error_set(&e, ERROR_USAGE,
                  "run needs the name of an attack, or all; `softsev attack list` lists "
                  "them");
        return cli_fail("attack", &e);
    }
    c.name = strcmp(given.operands[0], "all") ? given.operands[0] : NULL;
    return run(&c);
}
