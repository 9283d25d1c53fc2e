/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of options, and which of them go together: every pair of options of every subcommand,
 * out of the tables themselves, is either refused by a sentence that names both, or can be given in
 * a command line that is accepted.
 */
#include "cli/cli.h"
#include "cli/guest/guest_table.h"
#include "cli/owner/owner_table.h"
#include "cli/run/run_table.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

int cli_fail(const char *command, const struct error *error)
{
    print_message("# %s: %s\n", command, error->text);
    return (int)error->code;
}

/* Parses words with single blanks between them. */
static int parse(const struct option_table *t, const char *words, struct options *o,
                 struct error *e)
{
    static char line[1000];
    char *argv[40] = {(char *)"softsev"}, *rest = line;
    int argc = 1;
    *e = (struct error){.code = ERROR_NONE};
    snprintf(line, sizeof line, "%s", words);
    for (char *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    return options_parse(t, argc, argv, o, e);
}

static const struct option_table *table_of(const char *command)
{
    for (size_t i = 0; cli_tables[i]; i++)
        if (!strcmp(cli_tables[i]->command, command))
            return cli_tables[i];
    return NULL;
}

/* --- The grammar ------------------------------------------------------------------------------ */

static void values_follow_or_stand_behind_an_equals_sign(void **state)
{
    (void)state;
    struct options o;
    struct error e;
    assert_int_equal(
        parse(&cli_run_table, "--kernel k --mode=sev --append=a=b --memory 64", &o, &e), 0);
    assert_string_equal(o.text[RUN_KERNEL], "k");
    assert_string_equal(o.text[RUN_APPEND], "a=b");
    assert_int_equal(o.number[RUN_MEMORY], MIB(64));
    assert_null(o.text[RUN_CPUS]);
    assert_int_equal(options_number(&o, RUN_CPUS, 7), 7);
    assert_int_equal(parse(&cli_run_table, "--kernel k --append= --memory=64K0", &o, &e), -1);
    assert_int_equal(parse(&cli_run_table, "--kernel k --append=", &o, &e), 0);
    assert_string_equal(o.text[RUN_APPEND], "");
}

static void aliases_of_modes_mean_the_same_everywhere(void **state)
{
    static const char *const names[] = {"sev-es", "es", "seves", "sev-snp", "snp", "sev"};
    static const u64 modes[] = {2, 2, 2, 3, 3, 1};
    (void)state;
    struct options o;
    struct error e;
    char line[100];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(line, sizeof line, "--kernel k --mode %s", names[i]);
        assert_int_equal(parse(&cli_run_table, line, &o, &e), 0);
        assert_int_equal(options_choice(&o, RUN_MODE), modes[i]);
        snprintf(line, sizeof line, "measure --kernel k --mode %s", names[i]);
        assert_int_equal(parse(&cli_owner_table, line, &o, &e), 0);
        assert_int_equal(options_choice(&o, OWNER_MODE), modes[i]);
        snprintf(line, sizeof line, "run all --mode=%s", names[i]);
        assert_int_equal(parse(&cli_attack_table, line, &o, &e), 0);
        assert_string_equal(o.operands[0], "all");
    }
}

static void zero_is_a_value_and_absent_is_another_thing(void **state)
{
    (void)state;
    struct options o;
    struct error e;
    assert_int_equal(parse(&cli_run_table, "--kernel k --mode snp --policy 0 --time 0", &o, &e), 0);
    assert_true(o.text[RUN_POLICY] && o.text[RUN_TIME] && !o.text[RUN_LIMIT]);
    assert_int_equal(options_number(&o, RUN_POLICY, 0x30000), 0);
    assert_int_equal(
        parse(&cli_owner_table, "verify --root r --report p --time 253402300799", &o, &e), 0);
    assert_int_equal(o.number[OWNER_TIME], 253402300799);
    json_t *j = json_loads("{\"policy\": 0, \"author-key\": false}", 0, NULL);
    assert_int_equal(options_from_json(&cli_guest_table, j, &o, &e), 0);
    assert_true(o.text[GUEST_POLICY] && !o.text[GUEST_AUTHOR_KEY] && !o.text[GUEST_VCPUS]);
    assert_int_equal(options_number(&o, GUEST_POLICY, 0x30000), 0);
    json_decref(j);
}

static void a_repeated_option_that_is_a_list_keeps_every_value(void **state)
{
    (void)state;
    struct options o;
    struct error e;
    assert_int_equal(parse(table_of("kds"), "--seed a --seed=b", &o, &e), 0);
    assert_int_equal(o.list_count, 2);
    assert_string_equal(o.list[0], "a");
    assert_string_equal(o.list[1], "b");
}

static void what_follows_the_options_is_not_read(void **state)
{
    (void)state;
    struct options o;
    struct error e;
    assert_int_equal(parse(table_of("with"), "--seed a -- snphost --seed b --help", &o, &e), 0);
    assert_int_equal(o.operand_count, 4);
    assert_string_equal(o.operands[0], "snphost");
    assert_string_equal(o.operands[3], "--help");
    assert_null(o.operands[4]);
    assert_int_equal(parse(table_of("with"), "snphost --seed b", &o, &e), 0);
    assert_int_equal(o.operand_count, 3);
    assert_int_equal(parse(table_of("attack"), "run -- remap", &o, &e), 0);
    assert_string_equal(o.operands[0], "remap");
}

/* --- What is wrong is said -------------------------------------------------------------------- */

#define GUEST_SIZES "a number of MiB, or with K, M or G, from 2M to 512G in steps of 2M"

static void wrong_words_are_refused_in_words(void **state)
{
    static const struct {
        const char *command, *words, *error;
    } cases[] = {
        {"run", "--kernl k",
         "there is no option '--kernl'; did you mean --kernel? `softsev run --help all` lists "
         "them"},
        {"run", "--kernel k --kernel k", "--kernel is given twice"},
        {"run", "--kernel k --mode=sev --mode sev", "--mode is given twice"},
        {"run", "--kernel", "--kernel needs a value: FILE"},
        {"run", "--kernel --initrd i",
         "--kernel needs a value: FILE; if that is '--initrd', write --kernel=--initrd"},
        {"run", "--kernel= ", "--kernel needs the name of a file, not an empty one"},
        {"run", "-k k", "'-k' is not an option: options begin with --"},
        {"run", "--quiet=yes", "--quiet takes no value"},
        {"run", "stray", "'stray' is one argument too many"},
        {"run", "--mode sev-sn",
         "--mode 'sev-sn': expected none, sev, sev-es or sev-snp; did you mean sev-snp?"},
        {"run", "--mode all", "--mode 'all': expected none, sev, sev-es or sev-snp"},
        {"run", "--cpus 0", "--cpus '0': expected a number from 1 to 8"},
        {"run", "--cpus 9", "--cpus '9': expected a number from 1 to 8"},
        {"run", "--cpus 0x", "--cpus '0x': expected a number from 1 to 8"},
        {"run", "--cpus +1", "--cpus '+1': expected a number from 1 to 8"},
        {"run", "--cpus 1K", "--cpus '1K': expected a number from 1 to 8"},
        {"run", "--limit 0", "--limit '0': expected a number from 1 to 1000000"},
        {"run", "--time -1",
         "--time '-1': expected seconds since 1970, at most 4294967295 (in 2106): "},
        {"run", "--time 4294967296",
         "--time '4294967296': expected seconds since 1970, at most 4294967295 (in 2106): "},
        {"run", "--name=", "--name needs a value, not an empty one: NAME"},
        {"run", "--seed=", "--seed needs a value, not an empty one: TEXT"},
        {"with", "--seed= -- true", "--seed needs a value, not an empty one: TEXT"},
        {"platform", "init --seed=", "--seed needs a value, not an empty one: TEXT"},
        {"platform", "certs --tcb=", "--tcb needs a value, not an empty one: TCB"},
        {"kds", "--seed=", "--seed needs a value, not an empty one: TEXT"},
        {"kds", "--kds-url=", "--kds-url needs a value, not an empty one: URL"},
        {"fixtures", "--seed=", "--seed needs a value, not an empty one: TEXT"},
        {"owner", "measure --measurement=", "--measurement needs a value, not an empty one: "},
        {"owner", "verify --min-tcb=", "--min-tcb needs a value, not an empty one: "},
        {"owner", "measure --vcpu-type 0xf0000000",
         "--vcpu-type '0xf0000000': expected QEMU's EPYC, "},
        {"run", "--policy 18446744073709551616",
         "--policy '18446744073709551616': expected a number of at most 18446744073709551615"},
        {"run", "--memory 2097152", "--memory '2097152': expected " GUEST_SIZES},
        {"run", "--memory 1k", "--memory '1k': expected " GUEST_SIZES},
        {"run", "--memory 1M", "--memory '1M': expected " GUEST_SIZES},
        {"run", "--memory 2049K", "--memory '2049K': expected " GUEST_SIZES},
        {"run", "--memory 513", "--memory '513': expected " GUEST_SIZES},
        {"owner", "measure --memory 5M", "--memory '5M': expected " GUEST_SIZES},
        {"run", "--memory 18446744073709551615G",
         "--memory '18446744073709551615G': expected " GUEST_SIZES},
        {"run", "--trace gossip",
         "--trace 'gossip': expected all, or some of command, switch, key, view, page, vm, owner, "
         "device, separated by commas"},
        {"with", "--profile milam -- true", "--profile 'milam': expected milan"},
        {"platform", "exprt",
         "there is no action 'exprt'; did you mean export? `softsev platform --help` lists them"},
        {"platform", "certs", "certs needs --out"},
        {"platform", "reset --json",
         "reset takes no option '--json'; `softsev platform reset --help` lists them"},
        {"platform", "measure --launch f --policy 0x100000000",
         "--policy '0x100000000': expected a number of at most 4294967295"},
        {"attack", "list --mode sev",
         "list takes no option '--mode'; `softsev attack list --help` lists them"},
        {"attack", "list remap", "'remap' is one argument too many"},
        {"run", "--kernel k --guest-features secure-tsc,",
         "--guest-features 'secure-tsc,': expected names such as secure-tsc"},
        {"run", "--kernel k --guest-features secure-ts",
         "--guest-features 'secure-ts': expected names such as secure-tsc"},
        {"owner", "measure --firmware f --cpu paris",
         "--cpu 'paris': expected naples, rome, milan"},
        {"kds", "--tls-cert c", "--tls-cert needs --tls-key"},
        {"fixtures", "--seed a", "needs --out"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct options o;
        struct error e;
        assert_int_equal(parse(table_of(cases[i].command), cases[i].words, &o, &e), -1);
        assert_int_equal(e.code, ERROR_USAGE);
        if (strncmp(e.text, cases[i].error, strlen(cases[i].error)))
            assert_string_equal(e.text, cases[i].error);
    }
}

/* --- What goes together ----------------------------------------------------------------------- */

/* Options that had no effect together, or none at all: each must be refused, and say what would be
 * right. */
static void options_without_effect_are_refused(void **state)
{
    static const struct {
        const char *command, *words, *error;
    } cases[] = {
        {"owner", "measure --mode sev --firmware f --kernel k",
         "--kernel beside --firmware needs --kernel-hashes: "},
        {"owner", "explain --mode snp --firmware f --vcpu-type EPYC --kernel k",
         "--kernel beside --firmware needs --kernel-hashes: "},
        {"owner", "verify --report r --root a --mode snp --firmware f --kernel k",
         "--kernel beside --firmware needs --kernel-hashes: "},
        {"owner", "id-block --out-dir o --new-id-key --mode snp --firmware f --kernel k",
         "--kernel beside --firmware needs --kernel-hashes: "},
        {"owner",
         "answer --state s --evidence e --secret s --root r --out-dir o --mode snp --firmware f "
         "--kernel k",
         "--kernel beside --firmware needs --kernel-hashes: "},
        {"owner", "measure --mode snp --firmware f --initrd i", "--initrd needs --kernel"},
        {"owner", "measure --mode snp --firmware f --append a", "--append needs --kernel"},
        {"owner", "measure --mode snp --kernel k --kernel-hashes",
         "--kernel-hashes needs --firmware"},
        {"owner", "measure --mode snp --firmware f --kernel-hashes",
         "--kernel-hashes needs --kernel"},
        {"owner",
         "measure --mode snp --firmware f --digest "
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
         "--digest cannot be given with --firmware"},
        {"owner", "measure --nonce n --state s --platform p --launch l --kernel k",
         "--launch cannot be given with --kernel"},
        {"owner", "measure --mode sev --firmware f --memory 64",
         "--memory cannot be given with --firmware"},
        {"owner", "measure --mode sev --kernel k --vcpu-type EPYC", "--vcpu-type needs --firmware"},
        {"owner", "measure --mode sev --firmware f --guest-features 1",
         "--guest-features needs --mode sev-es or sev-snp: "},
        {"owner", "measure --mode snp --kernel k --owner-secret",
         "--owner-secret needs --mode sev or sev-es: "},
        {"owner", "measure --mode snp --firmware f --ovmf-only --vcpus 2",
         "--ovmf-only cannot be given with --vcpus"},
        {"owner", "measure --mode sev --kernel k --state s",
         "--state needs --measurement or --nonce: "},
        {"owner", "measure --nonce n --state s --platform p --mode snp --kernel k",
         "--nonce needs --mode sev or sev-es: "},
        {"owner", "verify --chain c --root r --kernel k", "--kernel needs --report: "},
        {"owner", "verify --report p --root r --kernel k", "--kernel needs --mode sev-snp: "},
        {"owner", "verify --report p --root r --mode snp", "--mode needs --kernel or --firmware"},
        {"owner", "verify --report p --root r --kds-wait 3", "--kds-wait needs --kds"},
        {"owner",
         "explain --kernel k --host-data "
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
         "--host-data needs --report: "},
        {"owner", "explain --report r --diff d", "--diff cannot be given with --report"},
        {"owner", "secret --state s --secret s --out-dir o --form raw --guid g",
         "--form cannot be given with --guid"},
        {"run", "--firmware f --initrd i", "--initrd needs --kernel"},
        {"run", "--firmware f --append a", "--append needs --kernel"},
        {"run", "--kernel k --kernel-hashes", "--kernel-hashes needs --firmware"},
        {"run", "--kernel k --mode sev --owner-secret s --secret-guid g",
         "--secret-guid needs --firmware"},
        {"run", "--firmware f --mode sev --secret-guid g", "--secret-guid needs --owner-secret"},
        {"run", "--firmware f --mode sev-snp --owner-secret s --secret-guid g",
         "--secret-guid needs --mode sev or sev-es: the launch of an SNP guest carries no "},
        {"owner", "measure --mode sev --firmware f --kernel k --kernel-hashes --owner-secret",
         "--owner-secret cannot be given with --firmware: the place that firmware has for a "},
        {"run", "--kernel k --policy 1", "--policy needs --mode sev, sev-es or sev-snp: "},
        {"run", "--kernel k --owner-secret s",
         "--owner-secret needs --mode sev, sev-es or sev-snp: "},
        {"run", "--kernel k --mode sev --owner-dir d --owner-root r",
         "--owner-dir cannot be given with --owner-root"},
        {"run", "--kernel k --guest-features vtom",
         "--guest-features needs --mode sev-es or sev-snp: "},
        {"run", "--kernel k --mode sev --guest-features debug-swap",
         "--guest-features needs --mode sev-es or sev-snp: "},
        {"run", "--kernel k --mode snp --tsc-frequency 2000000",
         "--tsc-frequency needs --guest-features"},
        {"run", "--kernel k --mode sev-es --guest-features debug-swap --tsc-frequency 2000000",
         "--tsc-frequency needs --mode sev-snp: "},
        {"owner", "measure --mode snp --kernel k --cpu milan", "--cpu needs --firmware"},
        {"owner", "measure --mode snp --firmware f --cpu milan --vcpu-type EPYC",
         "--cpu cannot be given with --vcpu-type"},
        {"run", "--firmware f --tamper", "--tamper needs --kernel"},
        {"run", "--machine m --kernel k", "--machine cannot be given with --kernel"},
        {"run", "--kernel k --trace-file f", "--trace-file needs --trace"},
        {"run", "--kernel k --json --quiet", "--quiet cannot be given with --json"},
        {"run", "--kernel k --owner-wait 3", "--owner-wait needs --owner-dir or --machine"},
        {"with", "--csp c -- true", "--csp needs --guest"},
        {"with", "--json -- true", "--json needs --trace"},
        {"platform", "id --json --out f", "--json cannot be given with --out: "},
        {"attack", "list --json --markdown", "--markdown cannot be given with --json"},
    };
    static const char *const members[][2] = {
        {"{\"kernel\": \"k\", \"firmware\": \"f\"}",
         "'kernel' beside 'firmware' needs 'kernel-hashes': "},
        {"{\"initrd\": \"k\"}", "'initrd' needs 'kernel'"},
        {"{\"kernel\": \"k\", \"vmm-type\": \"ec2\"}",
         "'vmm-type' beside 'kernel' needs 'firmware': "},
        {"{\"id-auth\": \"k\"}", "'id-auth' needs 'id-block'"},
    };
    (void)state;
    struct options o;
    struct error e;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(parse(table_of(cases[i].command), cases[i].words, &o, &e), -1);
        if (strncmp(e.text, cases[i].error, strlen(cases[i].error)))
            assert_string_equal(e.text, cases[i].error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        json_t *j = json_loads(members[i][0], 0, NULL);
        e = (struct error){.code = ERROR_NONE};
        assert_int_equal(options_from_json(&cli_guest_table, j, &o, &e), -1);
        if (strncmp(e.text, members[i][1], strlen(members[i][1])))
            assert_string_equal(e.text, members[i][1]);
        json_decref(j);
    }
}

/* A value that the row takes. */
static const char *sample(const struct option_row *row)
{
    static const char hex[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
                              "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    switch (row->kind) {
    case OPTION_FLAG:
        return "";
    case OPTION_NUMBER:
        return row->min > 1 ? "1000000" : "1";
    case OPTION_SIZE:
        return "64M";
    case OPTION_HEX:
        return hex + sizeof hex - 1 - 2 * row->max;
    case OPTION_CHOICE:
        return options_choice_name(row, row->standard);
    case OPTION_PARSED:
        if (row->words && strstr(row->words, "secure-tsc"))
            return "secure-tsc";
        return row->words              ? (strstr(row->words, "EPYC") ? "EPYC" : "all")
               : row->should[0] == 't' ? "1.55"
                                       : "1";
    default:
        return "x";
    }
}

static void give(struct options *o, u8 id, const char *text)
{
    struct error e = {.code = ERROR_NONE};
    o->text[id] = NULL;
    o->list_count = 0;
    if (options_set(o, id, text, &e)) {
        print_message("# %s: %s\n", o->table->command, e.text);
        fail();
    }
}

/* The two options that a pair is of, and choices whose value is fixed by something that was
 * demanded. */
struct pair {
    u8 a, b;
    bool chosen[OPTIONS_MAX];
};

enum outcome { TOGETHER, REFUSED, CONFUSED };

static enum outcome try_pair(const struct options *given, const struct pair *p, unsigned depth);

/* Adds what was asked for, one way after the other. */
static enum outcome add_and_try(const struct options *given, const struct pair *p,
                                const struct option_complaint *c, unsigned depth)
{
    enum outcome out = CONFUSED;
    struct pair chosen = *p;
    struct options more = *given;
    const struct option_row *rows = given->table->rows;
    if (c->relation == OPTION_ONLY) {
        const u8 chooser = *c->others;
        chosen.chosen[chooser] = true;
        for (u64 v = 0; v < 64 && !p->chosen[chooser] && out == CONFUSED; v++) {
            if (!(c->values & BIT(v)))
                continue;
            more = *given;
            give(&more, chooser, options_choice_name(&rows[chooser], v));
            out = try_pair(&more, &chosen, depth + 1);
        }
        return out;
    }
    for (const u8 *id = c->others; *id && out == CONFUSED; id++) {
        if (c->relation == OPTION_NEEDS_ONE)
            more = *given;
        if (!options_takes(given->table, given->action, *id))
            return CONFUSED;
        if (!more.text[*id])
            give(&more, *id, sample(&rows[*id]));
        if (c->relation == OPTION_NEEDS_ONE)
            out = try_pair(&more, p, depth + 1);
    }
    return c->relation == OPTION_NEEDS ? try_pair(&more, p, depth + 1) : out;
}

static bool names(const struct options *o, const struct error *e, u8 id)
{
    char name[50];
    snprintf(name, sizeof name, o->table->members ? "'%s'" : "--%s", o->table->rows[id].name);
    const char *at = strstr(e->text, name);
    const char after = at ? at[strlen(name)] : 0;
    return at && (after == 0 || strchr(" ,:'", after));
}

static enum outcome try_pair(const struct options *given, const struct pair *p, unsigned depth)
{
    struct option_complaint c;
    struct error e = {.code = ERROR_NONE};
    if (options_check(given, &c))
        return TOGETHER;
    assert_true(depth < 12);
    assert_int_equal(options_complain(given, &c, &e), -1);
    if (c.relation == OPTION_EXCLUDES)
        return names(given, &e, p->a) && names(given, &e, p->b) ? REFUSED : CONFUSED;
    return add_and_try(given, p, &c, depth);
}

static size_t try_all(const struct option_table *t, u8 action)
{
    size_t confused = 0;
    for (u8 a = 1; a < t->count; a++)
        for (u8 b = (u8)(a + 1); b < t->count; b++) {
            struct options o = {.table = t, .action = action};
            const struct pair p = {.a = a, .b = b};
            if (!options_takes(t, action, a) || !options_takes(t, action, b))
                continue;
            for (u8 id = 1; id < t->count; id++)
                if (id == a || id == b || (t->rows[id].required & 1u << action))
                    give(&o, id, sample(&t->rows[id]));
            if (try_pair(&o, &p, 0) != CONFUSED)
                continue;
            print_message("# %s %s: --%s and --%s\n", t->command,
                          t->actions ? t->actions[action].name : "", t->rows[a].name,
                          t->rows[b].name);
            confused++;
        }
    return confused;
}

static void every_pair_is_used_or_refused_by_name(void **state)
{
    (void)state;
    size_t confused = try_all(&cli_run_vm_table, 0) + try_all(&cli_guest_table, 0);
    for (size_t i = 0; cli_tables[i]; i++)
        for (u8 action = 0; action < cli_tables[i]->action_count || !action; action++)
            confused += try_all(cli_tables[i], action);
    assert_int_equal(confused, 0);
}

/* --- Tables as texts -------------------------------------------------------------------------- */

static void rows_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; cli_tables[i]; i++) {
        const struct option_table *t = cli_tables[i];
        assert_true(t->title && t->usage && t->about && t->count <= OPTIONS_MAX);
        for (u8 id = 1; id < t->count; id++) {
            const struct option_row *row = &t->rows[id];
            assert_true(row->name && *row->help && row->man);
            assert_int_equal(row->kind == OPTION_FLAG, row->value == NULL);
            assert_true(row->kind != OPTION_PARSED || (row->parse && row->should));
            assert_true(row->kind != OPTION_CHOICE || row->choices || row->choice_at);
            assert_true(row->required == 0 || !row->actions || !(row->required & ~row->actions));
            assert_true(row->group < t->group_count || !row->group);
        }
    }
}

static char *help_of(const struct option_table *t, int action, const char *topic)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    options_print_help(t, action < 0 ? NULL : &t->actions[action], topic, f);
    fclose(f);
    return text;
}

/* Except for `all`. */
static void every_help_fits_a_screen(void **state)
{
    (void)state;
    static const char *const topics[] = {NULL,     "host",   "vm",     "sev", "machine",
                                         "output", "launch", "policy", "all"};
    for (size_t i = 0; cli_tables[i]; i++)
        for (int action = -1; action < cli_tables[i]->action_count; action++)
            for (size_t k = 0; k < ARRAY_SIZE(topics); k++) {
                const struct option_table *t = cli_tables[i];
                char *text = help_of(t, action, topics[k]);
                size_t lines = 0;
                for (const char *line = text; *line; line += strcspn(line, "\n") + 1, lines++)
                    assert_true(strcspn(line, "\n") < OPTION_SCREEN);
                if (lines > 24 && (!topics[k] || strcmp(topics[k], "all")))
                    fail_msg("%s --help %s: %zu lines", t->command, topics[k], lines);
                free(text);
            }
}

static bool says(const char *text, const char *option)
{
    char label[40];
    snprintf(label, sizeof label, "\n  --%s ", option);
    return strstr(text, label);
}

/* In a command's --help and its topics, or those of one of its actions. */
static void every_option_is_in_some_help(void **state)
{
    (void)state;
    static const char *const topics[] = {NULL,      "host",   "vm",     "sev",
                                         "machine", "output", "launch", "policy"};
    for (size_t i = 0; cli_tables[i]; i++) {
        const struct option_table *t = cli_tables[i];
        for (int action = t->actions ? 0 : -1; action < t->action_count; action++) {
            char *text[ARRAY_SIZE(topics)], *all = help_of(t, action, "all");
            for (size_t k = 0; k < ARRAY_SIZE(topics); k++)
                text[k] = help_of(t, action, topics[k]);
            for (u8 id = 1; id < t->count; id++) {
                bool found = false, takes = action < 0 || options_takes(t, (u8)action, id);
                for (size_t k = 0; k < ARRAY_SIZE(topics); k++)
                    found |= says(text[k], t->rows[id].name);
                if (found != takes || says(all, t->rows[id].name) != takes)
                    fail_msg("%s: --%s", t->command, t->rows[id].name);
            }
            for (size_t k = 0; k < ARRAY_SIZE(topics); k++)
                free(text[k]);
            free(all);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_follow_or_stand_behind_an_equals_sign),
        cmocka_unit_test(aliases_of_modes_mean_the_same_everywhere),
        cmocka_unit_test(zero_is_a_value_and_absent_is_another_thing),
        cmocka_unit_test(a_repeated_option_that_is_a_list_keeps_every_value),
        cmocka_unit_test(what_follows_the_options_is_not_read),
        cmocka_unit_test(wrong_words_are_refused_in_words),
        cmocka_unit_test(options_without_effect_are_refused),
        cmocka_unit_test(every_pair_is_used_or_refused_by_name),
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(every_help_fits_a_screen),
        cmocka_unit_test(every_option_is_in_some_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
