/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of options as text: --help, and the part of a manual page that lists actions and
 * options. */
#include "cli/cli.h"
#include "cli/options.h"

#include <ctype.h>

#define LINE_MAX 100u
#define FEW_LINES                                                                                  \
    16u /* of actions and options together, which `softsev COMMAND --help` shows at once */

/* --- --help ----------------------------------------------------------------------------------- */

/* Prints "  --kernel FILE   " and the text in the columns after it, broken at blanks. */
static void print_entry(const char *label, size_t width, const char *text, FILE *out)
{
    const size_t room = OPTION_SCREEN - 1 - (width + 4);
    fprintf(out, "  %-*s  ", (int)width, label);
    while (strlen(text) > room || strchr(text, '\n')) {
        size_t size = strcspn(text, "\n");
        if (size > room)
            for (size = room; size && text[size] != ' ';)
                size--;
        if (!size)
            break; /* a word that is wider than the screen stays whole */
        fprintf(out, "%.*s\n%*s", (int)size, text, (int)width + 4, "");
        text += size + 1;
    }
    fprintf(out, "%s\n", text);
}

static size_t label_of(const struct option_row *row, char out[LINE_MAX])
{
    return (size_t)snprintf(out, LINE_MAX, "--%s%s%s", row->name, row->value ? " " : "",
                            row->value ? row->value : "");
}

/* The choice of options for one list: of one action or all; of one group; required or not. */
struct listing {
    const struct option_table *table;
    int action; /* -1: all */
    u8 group;
    bool required;
};

static bool lists(const struct listing *l, u8 id)
{
    const struct option_row *row = &l->table->rows[id];
    const u32 bit = 1u << (l->action < 0 ? 0 : l->action);
    if (l->action >= 0 && !options_takes(l->table, (u8)l->action, id))
        return false;
    return row->group == l->group &&
           (!l->table->actions || l->action < 0 || !!(row->required & bit) == l->required);
}

static bool lists_any(const struct listing *l)
{
    for (u8 id = 1; id < l->table->count; id++)
        if (lists(l, id))
            return true;
    return false;
}

static void print_options(const struct listing *l, size_t width, FILE *out)
{
    char label[LINE_MAX];
    for (u8 id = 1; id < l->table->count; id++) {
        if (!lists(l, id))
            continue;
        label_of(&l->table->rows[id], label);
        print_entry(label, width, l->table->rows[id].help, out);
    }
}

/* Returns the width of the widest label of one action's options, or of all options. */
static size_t width_of(const struct option_table *t, int action)
{
    char label[LINE_MAX];
    size_t width = 0;
    for (u8 id = 1; id < t->count; id++)
        if (action < 0 || options_takes(t, (u8)action, id))
            width = max_u64(width, label_of(&t->rows[id], label));
    return width;
}

static void print_lines(const char *first, const char *lines, FILE *out)
{
    const size_t indent = strlen(first);
    for (size_t size; *lines; lines += size + (lines[size] == '\n')) {
        size = strcspn(lines, "\n");
        fprintf(out, "%s%.*s\n", first, (int)size, lines);
        first = indent ? "       " : "";
    }
}

/* The parts of the help that `--help` and the word after it ask for. */
struct wanted {
    bool all;          /* every group */
    const char *topic; /* the groups of this topic; NULL: those that have none */
};

static struct wanted wanted_of(const struct option_table *t, const char *word)
{
    struct wanted w = {.all = word && !strcmp(word, "all"), .topic = NULL};
    for (u8 g = 0; word && g < t->group_count; g++)
        if (t->groups[g].topic && !strcmp(word, t->groups[g].topic))
            w.topic = t->groups[g].topic;
    return w;
}

static bool wants(const struct wanted *w, const char *topic)
{
    return w->all || (w->topic && topic ? !strcmp(w->topic, topic) : w->topic == topic);
}

/* Prints a line for each topic: "a VM: `softsev run --help vm`". */
static void print_topics(const struct option_table *t, const struct option_action *a, FILE *out)
{
    const char *between = "\n";
    for (u8 g = 0; g < t->group_count; g++) {
        const struct listing l = {t, a ? (int)(a - t->actions) : -1, g, false};
        if (!t->groups[g].topic || !lists_any(&l))
            continue;
        fprintf(out, "%s%s: `softsev %s%s%s --help %s`\n", between, t->groups[g].heading,
                t->command, a ? " " : "", a ? a->name : "", t->groups[g].topic);
        between = "";
    }
    if (t->common)
        fprintf(out, "all options: `softsev %s --help all`\n", t->command);
}

static void print_common(const struct option_table *t, FILE *out)
{
    char label[LINE_MAX];
    size_t width = 0;
    for (const u8 *id = t->common; *id; id++)
        width = max_u64(width, label_of(&t->rows[*id], label));
    fputs("\noptions:\n", out);
    for (const u8 *id = t->common; *id; id++) {
        label_of(&t->rows[*id], label);
        print_entry(label, width, t->rows[*id].help, out);
    }
    print_topics(t, NULL, out);
}

static void print_groups(const struct option_table *t, const struct wanted *w, FILE *out)
{
    const size_t width = width_of(t, -1);
    struct listing l = {.table = t, .action = -1};
    for (; l.group < t->group_count || !l.group; l.group++) {
        if (t->groups && !wants(w, t->groups[l.group].topic))
            continue;
        fprintf(out, "\n%s:\n", t->groups ? t->groups[l.group].heading : "options");
        print_options(&l, width, out);
    }
}

static void print_actions(const struct option_table *t, FILE *out)
{
    size_t width = 0;
    if (!t->actions)
        return;
    fputs("\nactions:\n", out);
    for (u8 i = 0; i < t->action_count; i++)
        width = max_u64(width, strlen(t->actions[i].name));
    for (u8 i = 0; i < t->action_count; i++)
        print_entry(t->actions[i].name, width, t->actions[i].help, out);
}

static void print_command(const struct option_table *t, const char *topic, FILE *out)
{
    const struct wanted w = wanted_of(t, topic);
    print_lines("usage: ", t->usage, out);
    if (!w.topic) {
        fputc('\n', out);
        print_lines("", t->about, out);
    }
    print_actions(t, out);
    if (t->common && !w.topic && !w.all)
        print_common(t, out);
    else if (!t->actions || (size_t)t->count + t->action_count <= FEW_LINES)
        print_groups(t, &w, out);
    if (t->after)
        fprintf(out, "\n%s\n", t->after);
}

/* Lists required options first, except under a topic. */
static void print_action(const struct option_table *t, const struct option_action *a,
                         const char *topic, FILE *out)
{
    const struct wanted w = wanted_of(t, topic);
    struct listing l = {.table = t, .action = (int)(a - t->actions)};
    const size_t width = width_of(t, l.action);
    fprintf(out, "usage: softsev %s %s%s%s%s\n\n%s\n", t->command, a->name, a->operand ? " " : "",
            a->operand ? a->operand : "", " [OPTIONS]", a->help);
    for (; l.group < t->group_count || !l.group; l.group++) {
        const char *own = t->groups ? t->groups[l.group].topic : NULL;
        for (int required = 1; required >= 0 && wants(&w, own); required--) {
            l.required = required;
            if (!lists_any(&l))
                continue;
            fprintf(out, "\n%s:\n",
                    own        ? t->groups[l.group].heading
                    : required ? "required"
                               : "options");
            print_options(&l, width, out);
        }
    }
    if (!w.topic && !w.all)
        print_topics(t, a, out);
}

void options_print_help(const struct option_table *t, const struct option_action *action,
                        const char *topic, FILE *out)
{
    if (action)
        print_action(t, action, topic, out);
    else
        print_command(t, topic, out);
}

bool options_open(const struct option_table *t, int argc, char **argv, struct options *out,
                  int *status)
{
    struct error e = {.code = ERROR_NONE};
    if (t->actions && argc < 2) {
        options_print_help(t, NULL, NULL, stderr);
        *status = ERROR_USAGE;
        return false;
    }
    if (options_parse(t, argc, argv, out, &e)) {
        *status = cli_fail(t->command, &e);
        return false;
    }
    if (!out->help)
        return true;
    options_print_help(
        t, t->actions && out->action < t->action_count ? &t->actions[out->action] : NULL,
        out->topic, stdout);
    *status = ERROR_NONE;
    return false;
}

/* --- The manual ------------------------------------------------------------------------------- */

/* Prints the help, which is a phrase, as a sentence of the manual. */
static void print_sentence(const char *help, FILE *out)
{
    const size_t size = strlen(help);
    fputc(toupper((unsigned char)*help), out);
    for (const char *c = help + 1; *c; c++)
        fputc(*c == '\n' ? ' ' : *c, out);
    fputs(size && help[size - 1] == '.' ? "\n" : ".\n", out);
}

static void print_value(const char *value, FILE *out)
{
    fputs(" Ar ", out);
    for (; *value; value++)
        fputc(tolower((unsigned char)*value), out);
}

static void print_item(const struct option_row *row, bool members, FILE *out)
{
    fprintf(out, ".It %s%s", members ? "Cm " : "Fl -", row->name);
    if (row->value && !members)
        print_value(row->value, out);
    fputc('\n', out);
    if (row->man)
        fprintf(out, "%s\n", row->man);
    else
        print_sentence(row->help, out);
}

static void print_man_actions(const struct option_table *t, FILE *out)
{
    if (!t->actions || !t->actions[0].man)
        return;
    fputs(".Bl -tag -width cert-import\n", out);
    for (u8 i = 0; i < t->action_count; i++)
        fprintf(out, ".It Cm %s\n%s\n", t->actions[i].name, t->actions[i].man);
    fputs(".El\n.Pp\nOptions:\n", out);
}

void options_print_man(const struct option_table *t, FILE *out)
{
    struct listing l = {.table = t, .action = -1};
    print_man_actions(t, out);
    for (; l.group < t->group_count || !l.group; l.group++) {
        if (t->groups)
            fprintf(out, ".Ss %s\n", t->groups[l.group].man);
        fprintf(out, ".Bl -tag -width %s\n",
                t->members ? "\"no-certificates\" -compact" : "indent");
        for (u8 id = 1; id < t->count; id++)
            if (lists(&l, id))
                print_item(&t->rows[id], t->members, out);
        fputs(".El\n", out);
    }
}
