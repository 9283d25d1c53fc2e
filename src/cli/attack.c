/* SPDX-License-Identifier: Apache-2.0 */
/* softsev attack: what published attacks there are, and each of them played in each mode. */
#include "cli/attack.h"

#include "cli/cli.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

struct choice {
    const char *name; /* NULL: all */
    int mode;         /* -1: all */
    bool json, markdown;
};

static void print_help(FILE *out)
{
    fputs("usage: softsev attack list [--json | --markdown]\n"
          "       softsev attack run NAME|all [--mode none|sev|sev-es|sev-snp|all] [--json]\n"
          "\n"
          "Published attacks of a malicious host on its guests. Each is played with what a\n"
          "host has, against a small guest that tells what it finds; once with the guest\n"
          "left alone, once not.\n"
          "\n"
          "  list         the attacks, and what is expected of each in each mode\n"
          "  run          plays one or all of them, and tells what was observed\n"
          "\n"
          "  --mode MODE  how the guest is protected; default: all modes\n"
          "  --json       for programs: `run` writes one object a line, `list` one array\n"
          "  --markdown   the table of the README\n"
          "\n"
          "Exit code 0: everything went as expected, attacks that break a guest included.\n",
          out);
}

/* --- list ------------------------------------------------------------------------------------------- */

static void print_list(void)
{
    for (u32 i = 0; i < attack_count; i++) {
        const struct attack *a = &attacks[i];
        printf("%-22s %s (%s)\n", a->name, a->title, a->source);
        printf("    the host %s\n", a->host);
        for (u32 mode = 0; mode < ATTACK_MODES; mode++) {
            char text[120];
            attack_outcome_text(&a->expected[mode], text);
            printf("    %-8s %s\n", attack_mode_name((enum image_mode)mode), text);
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
            json_object_set_new(expected, attack_mode_name((enum image_mode)mode),
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

/* --- run -------------------------------------------------------------------------------------------- */

static bool print_result(const struct choice *c, const struct attack *a, enum image_mode mode,
                         const struct attack_result *r, bool right)
{
    char text[120];
    if (c->json) {
        json_t *j =
            json_pack("{s:s, s:s, s:o, s:o, s:b, s:s}", "attack", a->name, "mode",
                      attack_mode_name(mode), "seen", outcome_json(&r->seen), "expected",
                      outcome_json(&a->expected[mode]), "as_expected", right, "told", r->told);
        return cli_print_json(j);
    }
    attack_outcome_text(&r->seen, text);
    printf("%-22s %-8s %s\n%-31s %s\n", a->name, attack_mode_name(mode), text, "", r->told);
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
        return error_set(e, ERROR_FILE, "standard output cannot be written");
    return right ? 0 : error_set(e, ERROR_INTERNAL, "not what is expected of this attack");
}

/* Tells of each run that failed; the exit code of the first. */
static int run_and_tell(struct cli_attack_lab *lab, const struct choice *c, const struct attack *a,
                        enum image_mode mode)
{
    struct error e = {.code = ERROR_NONE}, named = {.code = ERROR_NONE};
    if (!run_one(lab, c, a, mode, &e))
        return ERROR_NONE;
    error_set(&named, e.code, "%s, mode %s: %s", a->name, attack_mode_name(mode), e.text);
    return cli_fail("attack", &named);
}

static int run(const struct choice *c)
{
    struct cli_attack_lab lab;
    struct error e = {.code = ERROR_NONE};
    int result = ERROR_NONE;
    if (c->name && !attack_find(c->name))
        error_set(&e, ERROR_USAGE, "there is no attack '%s'; `softsev attack list` has them all",
                  c->name);
    if (e.code || cli_attack_open(&lab, &e))
        return cli_fail("attack", &e);
    for (u32 i = 0; i < attack_count; i++) {
        for (u32 mode = 0; mode < ATTACK_MODES; mode++) {
            if ((c->name && strcmp(c->name, attacks[i].name)) ||
                (c->mode >= 0 && (u32)c->mode != mode))
                continue;
            int code = run_and_tell(&lab, c, &attacks[i], (enum image_mode)mode);
            result = result ? result : code;
        }
    }
    cli_attack_close(&lab);
    return result;
}

/* --- The command line ------------------------------------------------------------------------------- */

static int mode_of(const char *text, int *mode, struct error *e)
{
    *mode = -1;
    for (u32 i = 0; i < ATTACK_MODES; i++)
        if (!strcmp(text, attack_mode_name((enum image_mode)i)))
            *mode = (int)i;
    if (*mode >= 0 || !strcmp(text, "all"))
        return 0;
    return error_set(e, ERROR_USAGE, "--mode %s: none, sev, sev-es, sev-snp or all is wanted",
                     text);
}

static int parse(int argc, char **argv, struct choice *c, bool *help, struct error *e)
{
    static const struct option options[] = {{"mode", required_argument, NULL, 'm'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"markdown", no_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *c = (struct choice){.mode = -1};
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (option == 'm' && mode_of(optarg, &c->mode, e))
            return -1;
        c->json |= option == 'j';
        c->markdown |= option == 'd';
        *help |= option == 'h';
        if (option == ':')
            return error_set(e, ERROR_USAGE, "%s wants a value", argv[optind - 1]);
        if (option == '?')
            return error_set(e, ERROR_USAGE,
                             "there is no option '%s'; `softsev attack --help` lists them",
                             argv[optind - 1]);
    }
    return 0;
}

int cli_attack(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct choice c;
    bool help = false;
    if (parse(argc, argv, &c, &help, &e))
        return cli_fail("attack", &e);
    int left = argc - optind;
    const char *action = left ? argv[optind] : "";
    if (help) {
        print_help(stdout);
        return ERROR_NONE;
    }
    if (!strcmp(action, "list") && left == 1)
        return list(&c, &e) ? cli_fail("attack", &e) : ERROR_NONE;
    if (!strcmp(action, "run") && left == 2) {
        c.name = strcmp(argv[optind + 1], "all") ? argv[optind + 1] : NULL;
        return run(&c);
    }
    if (!left) {
        print_help(stderr);
        return ERROR_USAGE;
    }
    bool known = !strcmp(action, "list") || !strcmp(action, "run");
    error_set(&e, ERROR_USAGE, known ? "%s takes %s; see `softsev attack --help`" : "'%s' is %s",
              action,
              !known           ? "no action: list and run are"
              : *action == 'l' ? "no name"
                               : "one name of an attack, or all");
    return cli_fail("attack", &e);
}
