/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one grammar of options. Each subcommand, and each kind of JSON object that says the same
 * things, has one table: a row for each option, and rules that decide which of them go together.
 * Parsing, `--help`, the manual pages and the completion of the shell all come from the table.
 *
 * On a command line an option is `--name VALUE` or `--name=VALUE`, and a flag is `--name`; `--`
 * ends the options. An option that is given twice is an error unless its row says `list`. Whatever
 * is given is used, or refused by a sentence that names it: the rules decide, and nothing is
 * silently without effect. "Not given" is a state of its own: text[id] is NULL, and no value stands
 * for it.
 */
#ifndef SOFTSEV_CLI_OPTIONS_H
#define SOFTSEV_CLI_OPTIONS_H

#include "base/base.h"
#include "base/error.h"

#include <stdio.h>

struct json_t; /* jansson's */

#define OPTIONS_MAX     96u /* ids of one table, with the unused 0 */
#define OPTION_LIST_MAX 64u /* values of options that may be repeated, together */
#define OPTION_SCREEN   80u /* columns of --help */

enum option_kind {
    OPTION_FLAG,   /* takes no value */
    OPTION_TEXT,   /* any text; an empty one only if the row says so */
    OPTION_FILE,   /* a path; not empty */
    OPTION_FOLDER, /* the same */
    OPTION_NUMBER, /* decimal or 0x; min to max */
    /* bytes, min to max in steps of `step`: a number is MiB; with K, M or G it is KiB, MiB or
     * GiB */
    OPTION_SIZE,
    /* exactly `max` bytes (at most 64) in hexadecimal digits, white space between them, or exactly
     * `min` bytes unless that is 0 */
    OPTION_HEX,
    OPTION_CHOICE, /* the name of one of the choices */
    OPTION_PARSED, /* what the row's function takes */
};

/* A named value. An alias is accepted; help and errors leave it out. */
struct option_choice {
    const char *name;
    u64 value;
    bool alias;
};

/* Ids of other options, for the columns below: OPTIONS(RUN_KERNEL, RUN_FIRMWARE). Ids begin with
 * 1. */
#define OPTION_IDS(...)                                                                            \
    (const u8[])                                                                                   \
    {                                                                                              \
        __VA_ARGS__, 0                                                                             \
    }

struct option_row {
    const char *name; /* without dashes */
    enum option_kind kind;
    const char *value; /* what help and manual call its value */
    const char *help;  /* what it does, with the value's unit and default */
    const char *man;   /* the manual's text, in mdoc(7); NULL: the help is enough */
    u64 min, max;
    u64 step;     /* of OPTION_SIZE; 0: there is none */
    u64 standard; /* of a choice: the value that holds where it is not given */
    const struct option_choice *choices; /* the last has no name */
    const char *(*choice_at)(
        size_t i); /* instead: the i-th name, whose value is i; NULL: there are no more */
    bool (*parse)(const char *, u64 *); /* of OPTION_PARSED: text to value; false: it is wrong */
    const char *should;                 /* of OPTION_PARSED: what would be right */
    const char *words; /* of OPTION_PARSED: what a shell completes, blanks between; NULL: nothing */
    u8 group;          /* the table's groups[group] */
    bool list;         /* may be repeated */
    bool empty;        /* of OPTION_TEXT: an empty text means something */
    bool output;       /* of OPTION_FILE: it is written, so no other option may name that file */
    u32 actions,
        required; /* bits of the table's actions that take it, that need it; 0: all, none */
    const u8 *needs, *needs_one,
        *excludes; /* all of these, at least one of these, none of these; NULL: nothing */
};

enum option_relation {
    OPTION_NEEDS,     /* all of `others` must be given */
    OPTION_NEEDS_ONE, /* at least one of them */
    OPTION_EXCLUDES,  /* none of them may be given */
    OPTION_ONLY,      /* the first of `others`, a choice, must have one of `values` */
};

/* A relation that depends on the action or on further options. */
struct option_rule {
    u32 actions; /* bits; 0: all */
    enum option_relation relation;
    const u8 *subjects; /* the rule is for each of these that is given; NULL: it always holds */
    const u8 *with,
        *without; /* it counts only if all of these are given, and none of these; NULL: always */
    const u8 *others;
    u64 values;      /* bits of choice values, of OPTION_ONLY */
    const char *why; /* what would be right, or the reason; NULL: the relation says enough */
};

struct option_action {
    const char *name, *help;
    const char *man; /* the manual's text, in mdoc(7); NULL: the page has its own */
    u8 operands; /* how many arguments that are no options it takes; the subcommand reads them */
    const char *operand; /* what help calls them */
    const char *words;   /* what a shell completes them to, blanks between; it may have $(...) */
};

/* Options that stand under one heading. */
struct option_group {
    const char *topic;   /* `--help TOPIC` lists it; NULL: `--help` does. `all` lists everything */
    const char *heading; /* of help */
    const char *man;     /* of the manual */
};

struct option_table {
    const char *command; /* "run"; of JSON objects: what they are, "launch description" */
    const char *title;   /* what it does, in the list of subcommands */
    bool members;        /* JSON members, not options: names stand in single quotes */
    const char *usage, *about, *after; /* lines of --help */
    const struct option_group *groups; /* NULL: one without a heading */
    u8 group_count;
    const struct option_row *rows; /* by id; the first is unused */
    u8 count;
    const u8 *common; /* ids that --help lists, the rest by topic or `all`; NULL: it lists all */
    const struct option_action *actions; /* NULL: the subcommand has none */
    u8 action_count;
    const struct option_rule *rules;
    size_t rule_count;
    u8 operands; /* without actions: how many arguments that are no options it takes */
    bool rest;   /* the first argument that is no option begins what is not the subcommand's own */
};

/* The options that were given. Their texts belong to the command line or the JSON object and
 * live as long as it. */
struct options {
    const struct option_table *table;
    u8 action;                     /* index */
    bool help;                     /* --help was given; nothing has been checked */
    const char *topic;             /* the word after it, or NULL */
    const char *text[OPTIONS_MAX]; /* by id; NULL: not given; of a flag: "" */
    u64 number[OPTIONS_MAX];       /* of numbers, sizes, choices and OPTION_PARSED that are given */
    u8 list_id[OPTION_LIST_MAX];
    const char
        *list[OPTION_LIST_MAX]; /* every value of every option that may be repeated, in order */
    size_t list_count;
    char **operands; /* NULL-terminated; they stand in argv */
    int operand_count;
};

/* Why options do not go together: which of them, by which relation. */
struct option_complaint {
    enum option_relation relation;
    u8 subject;       /* 0: the command itself */
    const u8 *with;   /* the rule's; NULL: none */
    const u8 *others; /* of OPTION_EXCLUDES: only the first is meant */
    u64 values;
    const char *why;
};

/* Parses and checks argv[1] and what follows. If the table has actions, argv[1] is one. Permutes
 * argv: operands come last. Returns -1 and ERROR_USAGE if something is wrong. */
int options_parse(const struct option_table *t, int argc, char **argv, struct options *out,
                  struct error *e);
/* Does the same for a subcommand, and prints --help or the error. Returns true if the subcommand
 * should go on; otherwise *status is the exit code. */
bool options_open(const struct option_table *t, int argc, char **argv, struct options *out,
                  int *status);
/* Takes the members of a JSON object as options, and checks them: texts, integers, true for a flag;
 * false is a flag that is not given. Integers become texts in the object, which must stay as long
 * as `out`. */
int options_from_json(const struct option_table *t, struct json_t *object, struct options *out,
                      struct error *e);
/* Gives one option a value, as if it came from the command line, without a look at the others. */
int options_set(struct options *o, u8 id, const char *text, struct error *e);
/* Checks that what is given goes together. Returns false and sets `complaint` if it does not. */
bool options_check(const struct options *o, struct option_complaint *complaint);
/* Writes the complaint as a sentence that names every option it is about. Returns -1. */
int options_complain(const struct options *o, const struct option_complaint *c, struct error *e);

/* Returns the number that was given, or `standard`. */
u64 options_number(const struct options *o, u8 id, u64 standard);
/* Returns the choice that was given, or the row's standard. */
u64 options_choice(const struct options *o, u8 id);
/* Returns the name of a choice's value, or NULL if it has none. */
const char *options_choice_name(const struct option_row *row, u64 value);
/* "--kernel", or 'kernel' of a JSON object. */
#define OPTION_NAME_MAX 48u
const char *options_name(const struct option_table *t, u8 id, char out[OPTION_NAME_MAX]);
/* Returns true if any of these is given. */
bool options_any(const struct options *o, const u8 *ids);
/* Sets an error that names the first of `ids` that is given and says `why`. Returns 0 if none is
 * given. */
int options_refuse(const struct options *o, const u8 *ids, const char *why, struct error *e);

/* Prints the text of --help for the subcommand or for one of its actions. `topic` names groups, or
 * is "all". With NULL, or a word that names no topic, prints the common options and those under no
 * topic. */
void options_print_help(const struct option_table *t, const struct option_action *action,
                        const char *topic, FILE *out);
/* Prints actions and options in mdoc(7), as far as the table has them. */
void options_print_man(const struct option_table *t, FILE *out);
/* Returns true if an action takes an option. */
bool options_takes(const struct option_table *t, u8 action, u8 id);
/* Returns the name in a list that is nearest to a word, or NULL if none is near. The list ends with
 * NULL. */
const char *options_nearest(const char *word, const char *(*name_at)(const void *list, size_t i),
                            const void *list);

/* --- Completion of bash (option_completion.c) ------------------------------------------------- */

/* Prints the script for these subcommands; the list ends with NULL. */
void options_print_completion(const struct option_table *const *tables, FILE *out);

/* --- Files (option_files.c) ------------------------------------------------------------------- */

/* Returns true if two paths name one file, or would if it is not there yet. A device or pipe may be
 * named twice: writing to it loses nothing. */
bool option_one_file(const char *a, const char *b);
/* Checks that no output overwrites anything: an output must not be a file that another option
 * names, even by another path, nor a file of a platform's state. Returns -1 with ERROR_USAGE or
 * ERROR_FILE. */
int options_check_files(const struct options *o, struct error *e);
/* Checks outputs against the files that other options name, such as those of a VM in a machine
 * file. */
int options_check_outputs(const struct options *o, const struct options *inputs, struct error *e);
/* Checks one file that the option `id` of `o` writes. */
int options_check_output(const struct options *o, u8 id, const char *path,
                         const struct options *inputs, struct error *e);
/* Checks the files that go into the folder that the option `folder` names. */
struct file_set;
int options_check_set(const struct options *o, u8 folder, const struct file_set *set,
                      struct error *e);

/* --- Values (option_values.c) ----------------------------------------------------------------- */

/* Converts a text to a number or bytes, by the row's kind. Returns -1 and ERROR_USAGE; the error
 * names `name` and says what would be right. */
int option_value(const struct option_row *row, const char *name, const char *text, u64 *number,
                 struct error *e);
/* Copies the path that begins a value such as "FILE,readonly" to `path`; a comma in the path is
 * written twice. Returns what follows the path: a comma, or the end. `path` has `room` bytes, which
 * strlen(text) + 1 always fits. */
const char *option_path(const char *text, char *path, size_t room);
/* Parses a decimal or 0x number without sign or blanks; *end is what follows it. Returns false if
 * there is none, or if it has more than 64 bits. */
bool option_digits(const char *text, u64 *out, const char **end);

#endif
