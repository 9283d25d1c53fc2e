/* SPDX-License-Identifier: Apache-2.0 */
/* Options out of a command line or a JSON object, and the rules of what goes together; see
 * options.h. */
#include "cli/options.h"

#include <jansson.h>

const char *options_name(const struct option_table *t, u8 id, char out[OPTION_NAME_MAX])
{
    snprintf(out, OPTION_NAME_MAX, t->members ? "'%s'" : "--%s", t->rows[id].name);
    return out;
}

bool options_takes(const struct option_table *t, u8 action, u8 id)
{
    const u32 actions = t->rows[id].actions;
    return !actions || !t->actions || (actions & 1u << action);
}

u64 options_number(const struct options *o, u8 id, u64 standard)
{
    return o->text[id] ? o->number[id] : standard;
}

u64 options_choice(const struct options *o, u8 id)
{
    return o->text[id] ? o->number[id] : o->table->rows[id].standard;
}

bool options_any(const struct options *o, const u8 *ids)
{
    for (; *ids; ids++)
        if (o->text[*ids])
            return true;
    return false;
}

static bool has_all(const struct options *o, const u8 *ids)
{
    for (; *ids; ids++)
        if (!o->text[*ids])
            return false;
    return true;
}

int options_refuse(const struct options *o, const u8 *ids, const char *why, struct error *e)
{
    char name[OPTION_NAME_MAX];
    for (; *ids; ids++)
        if (o->text[*ids])
            return error_set(e, ERROR_USAGE, "%s %s", options_name(o->table, *ids, name), why);
    return 0;
}

/* --- What goes together ----------------------------------------------------------------------- */

static bool complain(struct option_complaint *out, enum option_relation relation, u8 subject,
                     const u8 *others)
{
    *out = (struct option_complaint){.relation = relation, .subject = subject, .others = others};
    return false;
}

/* Checks one relation. Returns false and sets `out` if it does not hold. */
static bool holds(const struct options *o, enum option_relation relation, u8 subject,
                  const u8 *others, u64 values, struct option_complaint *out)
{
    switch (relation) {
    case OPTION_NEEDS:
        return has_all(o, others) || complain(out, relation, subject, others);
    case OPTION_NEEDS_ONE:
        return options_any(o, others) || complain(out, relation, subject, others);
    case OPTION_EXCLUDES:
        for (; *others; others++)
            if (*others != subject && o->text[*others])
                return complain(out, relation, subject, others);
        return true;
    case OPTION_ONLY:
        break;
    }
    return (values & BIT(options_choice(o, *others))) || complain(out, relation, subject, others);
}

static bool rule_holds(const struct options *o, const struct option_rule *r,
                       struct option_complaint *out)
{
    static const u8 itself[] = {0};
    if ((r->actions && o->table->actions && !(r->actions & 1u << o->action)) ||
        (r->with && !has_all(o, r->with)) || (r->without && options_any(o, r->without)))
        return true;
    const u8 *subject = r->subjects ? r->subjects : itself;
    do {
        if ((!r->subjects || o->text[*subject]) &&
            !holds(o, r->relation, *subject, r->others, r->values, out)) {
            out->with = r->with;
            out->values = r->values;
            out->why = r->why;
            return false;
        }
    } while (*subject && *++subject);
    return true;
}

/* Checks the columns of one row that are exclusions, or those that are not. */
static bool row_holds(const struct options *o, u8 id, bool exclusions, struct option_complaint *out)
{
    const struct option_row *row = &o->table->rows[id];
    if (exclusions)
        return !row->excludes || holds(o, OPTION_EXCLUDES, id, row->excludes, 0, out);
    return (!row->needs || holds(o, OPTION_NEEDS, id, row->needs, 0, out)) &&
           (!row->needs_one || holds(o, OPTION_NEEDS_ONE, id, row->needs_one, 0, out));
}

/* Checks exclusions first: asking for one more option would mislead while two that are given can
 * never go together. */
bool options_check(const struct options *o, struct option_complaint *out)
{
    const struct option_table *t = o->table;
    for (int exclusions = 1; exclusions >= 0; exclusions--) {
        for (u8 id = 1; id < t->count; id++)
            if (o->text[id] && !row_holds(o, id, exclusions, out))
                return false;
        for (size_t i = 0; i < t->rule_count; i++)
            if ((t->rules[i].relation == OPTION_EXCLUDES) == exclusions &&
                !rule_holds(o, &t->rules[i], out))
                return false;
    }
    return true;
}

/* --- Complaints ------------------------------------------------------------------------------- */

#define SENTENCE_MAX 400u

static void append(char sentence[SENTENCE_MAX], const char *text)
{
    const size_t used = strlen(sentence);
    snprintf(sentence + used, SENTENCE_MAX - used, "%s", text);
}

static void append_name(char sentence[SENTENCE_MAX], const struct option_table *t, u8 id)
{
    char name[OPTION_NAME_MAX];
    append(sentence, options_name(t, id, name));
}

/* Appends the names of options: "--digest, --kernel or --firmware". */
static void append_names(char sentence[SENTENCE_MAX], const struct options *o, const u8 *ids,
                         bool missing_only, const char *last)
{
    bool first = true;
    for (; *ids; ids++) {
        const u8 *next = ids + 1;
        if (missing_only && o->text[*ids])
            continue;
        while (missing_only && *next && o->text[*next])
            next++;
        if (!first)
            append(sentence, *next ? ", " : last);
        append_name(sentence, o->table, *ids);
        first = false;
    }
}

/* Appends an option and values of it: "--mode sev-es or sev-snp". */
static void append_values(char sentence[SENTENCE_MAX], const struct options *o, u8 id, u64 values)
{
    append_name(sentence, o->table, id);
    const char *before = " ";
    for (u64 v = 0; values; v++) {
        if (!(values & BIT(v)))
            continue;
        values &= ~BIT(v);
        append(sentence, before);
        append(sentence, options_choice_name(&o->table->rows[id], v));
        before = values & (values - 1) ? ", " : " or ";
    }
}

int options_complain(const struct options *o, const struct option_complaint *c, struct error *e)
{
    char s[SENTENCE_MAX] = "";
    if (c->subject)
        append_name(s, o->table, c->subject);
    else if (o->table->actions)
        append(s, o->table->actions[o->action].name);
    for (const u8 *with = c->with; with && *with; with++) {
        if (*with == c->subject)
            continue;
        append(s, with == c->with ? " beside " : " and ");
        append_name(s, o->table, *with);
    }
    append(s, *s ? " " : "");
    append(s, c->relation == OPTION_EXCLUDES ? "cannot be given with " : "needs ");
    if (c->relation == OPTION_NEEDS)
        append_names(s, o, c->others, true, " and ");
    else if (c->relation == OPTION_NEEDS_ONE)
        append_names(s, o, c->others, false, " or ");
    else if (c->relation == OPTION_EXCLUDES)
        append_name(s, o->table, *c->others);
    else
        append_values(s, o, *c->others, c->values);
    if (c->why) {
        append(s, ": ");
        append(s, c->why);
    }
    return error_set(e, ERROR_USAGE, "%s", s);
}

static int check(const struct options *o, struct error *e)
{
    const struct option_table *t = o->table;
    struct option_complaint c;
    for (u8 id = 1; id < t->count; id++)
        if ((t->rows[id].required & 1u << o->action) && !o->text[id])
            return error_set(e, ERROR_USAGE, "%s%sneeds --%s",
                             t->actions ? t->actions[o->action].name : "", t->actions ? " " : "",
                             t->rows[id].name);
    return options_check(o, &c) ? 0 : options_complain(o, &c, e);
}

/* --- One option ------------------------------------------------------------------------------- */

int options_set(struct options *o, u8 id, const char *text, struct error *e)
{
    const struct option_row *row = &o->table->rows[id];
    char name[OPTION_NAME_MAX];
    if (o->text[id] && !row->list)
        return error_set(e, ERROR_USAGE, "%s is given twice", options_name(o->table, id, name));
    if (row->list) {
        if (o->list_count == OPTION_LIST_MAX)
            return error_set(e, ERROR_USAGE, "%s: at most %u of them",
                             options_name(o->table, id, name), OPTION_LIST_MAX);
        o->list_id[o->list_count] = id;
        o->list[o->list_count++] = text;
    }
    o->text[id] = text;
    return option_value(row, options_name(o->table, id, name), text, &o->number[id], e);
}

/* --- The command line ------------------------------------------------------------------------- */

static u8 find(const struct option_table *t, const char *name, size_t size)
{
    for (u8 id = 1; id < t->count; id++)
        if (strlen(t->rows[id].name) == size && !memcmp(t->rows[id].name, name, size))
            return id;
    return 0;
}

static const char *row_name_at(const void *options, size_t i)
{
    const struct options *o = options;
    u8 id = 1;
    for (;; id++) {
        if (id >= o->table->count)
            return NULL;
        if (options_takes(o->table, o->action, id) && !i--)
            return o->table->rows[id].name;
    }
}

static void help_line(const struct options *o, char *out, size_t size)
{
    const struct option_table *t = o->table;
    snprintf(out, size, "`softsev %s%s%s --help%s` lists them", t->command, t->actions ? " " : "",
             t->actions ? t->actions[o->action].name : "", t->common ? " all" : "");
}

static int unknown(const struct options *o, const char *argument, size_t size, struct error *e)
{
    const struct option_action *actions = o->table->actions;
    char word[80], where[100];
    snprintf(word, sizeof word, "%.*s", (int)min_u64(size, sizeof word - 1), argument + 2);
    const char *near = options_nearest(word, row_name_at, o);
    help_line(o, where, sizeof where);
    return error_set(e, ERROR_USAGE, "%s%s no option '--%s'; %s%s%s%s",
                     actions ? actions[o->action].name : "", actions ? " takes" : "there is", word,
                     near ? "did you mean --" : "", near ? near : "", near ? "? " : "", where);
}

/* Parses --NAME VALUE, --NAME=VALUE or --FLAG. `next` is the next argument, or NULL. Returns how
 * many arguments it took, or -1 on an error. */
static int parse_one(struct options *o, const char *word, const char *next, struct error *e)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    const size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const u8 id = find(o->table, name, size);
    if (!id || !options_takes(o->table, o->action, id))
        return unknown(o, word, size, e);
    const struct option_row *row = &o->table->rows[id];
    if (row->kind == OPTION_FLAG) {
        if (equals)
            return error_set(e, ERROR_USAGE, "--%s takes no value", row->name);
        return options_set(o, id, "", e) ? -1 : 1;
    }
    if (equals)
        return options_set(o, id, equals + 1, e) ? -1 : 1;
    if (!next)
        return error_set(e, ERROR_USAGE, "--%s needs a value: %s", row->name, row->value);
    if (!strcmp(next, "--") ||
        (!strncmp(next, "--", 2) && find(o->table, next + 2, strcspn(next + 2, "="))))
        return error_set(e, ERROR_USAGE,
                         "--%s needs a value: %s; if that is '%.80s', write --%s=%.80s", row->name,
                         row->value, next, row->name, next);
    return options_set(o, id, next, e) ? -1 : 2;
}

static bool is_help(const char *argument)
{
    return !strcmp(argument, "--help") || !strcmp(argument, "-h");
}

/* Parses everything but the action. Operands move to the front of `argv`, which ends with NULL like
 * main's. */
static int parse_words(struct options *o, int argc, char **argv, struct error *e)
{
    int at = 0, count = 0;
    for (int used; at < argc; at += used) {
        const char *word = argv[at];
        if (is_help(word)) {
            o->help = true;
            o->topic = at + 1 < argc ? argv[at + 1] : NULL;
            return 0;
        }
        const bool ends = !strcmp(word, "--");
        if (ends || (o->table->rest && word[0] != '-')) {
            at += ends;
            break;
        }
        used = 1;
        if (word[0] != '-' || !word[1])
            argv[count++] = argv[at];
        else if (word[1] != '-')
            return error_set(e, ERROR_USAGE, "'%.80s' is not an option: options begin with --",
                             word);
        else
            used = parse_one(o, word, at + 1 < argc ? argv[at + 1] : NULL, e);
        if (used < 0)
            return -1;
    }
    while (at < argc)
        argv[count++] = argv[at++];
    if (count < argc)
        argv[count] = NULL;
    o->operands = argv;
    o->operand_count = count;
    return 0;
}

static int check_operands(const struct options *o, struct error *e)
{
    const struct option_table *t = o->table;
    const int most = t->actions ? t->actions[o->action].operands : t->operands;
    if (t->rest || o->operand_count <= most)
        return 0;
    return error_set(e, ERROR_USAGE, "'%.80s' is one argument too many", o->operands[most]);
}

static const char *action_name_at(const void *table, size_t i)
{
    const struct option_table *t = table;
    return i < t->action_count ? t->actions[i].name : NULL;
}

static int find_action(struct options *o, const char *name, struct error *e)
{
    const struct option_table *t = o->table;
    for (u8 i = 0; i < t->action_count; i++) {
        if (strcmp(t->actions[i].name, name))
            continue;
        o->action = i;
        return 0;
    }
    const char *near = options_nearest(name, action_name_at, t);
    return error_set(e, ERROR_USAGE,
                     "there is no action '%.80s'; %s%s%s`softsev %s --help` lists them", name,
                     near ? "did you mean " : "", near ? near : "", near ? "? " : "", t->command);
}

int options_parse(const struct option_table *t, int argc, char **argv, struct options *out,
                  struct error *e)
{
    const bool actions = t->actions;
    *out = (struct options){.table = t};
    if (argc < (actions ? 2 : 1))
        return error_set(e, ERROR_USAGE, "which action? `softsev %s --help` lists them",
                         t->command);
    if (actions && is_help(argv[1])) {
        out->help = true;
        out->action = t->action_count;
        return 0;
    }
    const int words = actions ? 2 : 1;
    if ((actions && find_action(out, argv[1], e)) ||
        parse_words(out, argc - words, argv + words, e))
        return -1;
    if (out->help)
        return 0;
    return check_operands(out, e) || check(out, e) || options_check_files(out, e) ? -1 : 0;
}

/* --- JSON objects ----------------------------------------------------------------------------- */

/* Turns an integer into the text that the option of that name takes. */
static const char *member_text(json_t *object, const char *key, json_t *value)
{
    char number[32];
    if (json_is_string(value))
        return json_string_value(value);
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    if (json_object_set_new(object, key, json_string(number)))
        return NULL;
    return json_string_value(json_object_get(object, key));
}

/* Takes the values of an option that may be repeated from an array of texts. */
static int set_members(struct options *o, u8 id, const char *key, const json_t *array,
                       struct error *e)
{
    const json_t *value;
    size_t i;
    json_array_foreach(array, i, value)
    {
        if (!json_is_string(value))
            return error_set(e, ERROR_USAGE, "'%s'[%zu] should be a text", key, i);
        if (options_set(o, id, json_string_value(value), e))
            return -1;
    }
    return 0;
}

static int set_member(struct options *o, json_t *object, const char *key, json_t *value,
                      struct error *e)
{
    const u8 id = find(o->table, key, strlen(key));
    const char *near = id ? NULL : options_nearest(key, row_name_at, o);
    if (!id)
        return error_set(e, ERROR_USAGE, "there is no member '%.80s'%s%s%s", key,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    const bool flag = o->table->rows[id].kind == OPTION_FLAG;
    if (o->table->rows[id].list && json_is_array(value))
        return set_members(o, id, key, value, e);
    if (flag && json_is_boolean(value))
        return json_is_true(value) ? options_set(o, id, "", e) : 0;
    if (flag || !(json_is_string(value) || json_is_integer(value)))
        return error_set(e, ERROR_USAGE, "'%s' should be %s", key,
                         flag ? "true or false" : "a text or a number");
    const char *text = member_text(object, key, value);
    return text ? options_set(o, id, text, e)
                : error_set(e, ERROR_MEMORY, "no memory for '%s'", key);
}

int options_from_json(const struct option_table *t, struct json_t *object, struct options *out,
                      struct error *e)
{
    const char *key;
    json_t *value;
    *out = (struct options){.table = t};
    json_object_foreach(object, key, value)
    {
        if (set_member(out, object, key, value, e))
            return -1;
    }
    return check(out, e) || options_check_files(out, e) ? -1 : 0;
}
