/* SPDX-License-Identifier: Apache-2.0 */
/* The completion of bash for softsev, out of the tables of options. */
#include "cli/options.h"

/* Prints the options of one action, or of a subcommand without actions. */
static void print_names(const struct option_table *t, u8 action, FILE *out)
{
    for (u8 id = 1; id < t->count; id++)
        if (options_takes(t, action, id))
            fprintf(out, "--%s ", t->rows[id].name);
    fputs("--help", out);
}

/* Prints the words for the first argument of each subcommand that has actions, and the words for
 * the actions. */
static void print_actions(const struct option_table *t, FILE *out)
{
    fprintf(out, "        %s)\n            words=\"", t->command);
    for (u8 i = 0; i < t->action_count; i++)
        fprintf(out, "%s ", t->actions[i].name);
    fputs("--help\"\n            ;;\n", out);
}

static void print_options(const struct option_table *t, FILE *out)
{
    for (u8 i = 0; i < t->action_count || !i; i++) {
        fprintf(out, "        \"%s%s%s\") words=\"", t->command, t->actions ? " " : "",
                t->actions ? t->actions[i].name : "");
        print_names(t, i, out);
        fputs("\" ;;\n", out);
    }
}

static void print_operands(const struct option_table *t, FILE *out)
{
    for (u8 i = 0; t->actions && i < t->action_count; i++)
        if (t->actions[i].words)
            fprintf(out, "        \"%s %s\") words=\"%s\" ;;\n", t->command, t->actions[i].name,
                    t->actions[i].words);
}

/* Prints the words of a value, each followed by a blank. Returns false if there are none. */
static bool print_words(const struct option_row *row, FILE *out)
{
    const char *name;
    if (row->kind == OPTION_PARSED && row->words)
        fputs(row->words, out);
    else if (row->kind != OPTION_CHOICE)
        return false;
    for (size_t i = 0; row->choices && row->choices[i].name; i++)
        if (!row->choices[i].alias)
            fprintf(out, "%s%s", i ? " " : "", row->choices[i].name);
    for (size_t i = 0; row->choice_at && (name = row->choice_at(i)); i++)
        fprintf(out, "%s%s", i ? " " : "", name);
    return true;
}

static bool has_words(const struct option_row *row)
{
    return row->kind == OPTION_CHOICE || (row->kind == OPTION_PARSED && row->words);
}

static void print_values(const struct option_table *t, FILE *out)
{
    for (u8 id = 1; id < t->count; id++) {
        const struct option_row *row = &t->rows[id];
        if (row->kind == OPTION_FOLDER)
            fprintf(out, "        \"%s --%s\") folders=yes ;;\n", t->command, row->name);
        else if (row->kind == OPTION_FILE)
            fprintf(out, "        \"%s --%s\") files=yes ;;\n", t->command, row->name);
        else if (has_words(row)) {
            fprintf(out, "        \"%s --%s\") words=\"", t->command, row->name);
            print_words(row, out);
            fputs("\" ;;\n", out);
        } else if (row->kind != OPTION_FLAG)
            fprintf(out, "        \"%s --%s\") value=yes ;;\n", t->command, row->name);
    }
}

void options_print_completion(const struct option_table *const *tables, FILE *out)
{
    fputs("# SPDX-License-Identifier: Apache-2.0\n"
          "# bash completion for softsev, out of its tables: `softsev documents completion` writes "
          "it.\n"
          "_softsev()\n{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} "
          "command=${COMP_WORDS[1]}\n"
          "    local scope=$command words=\"\" files=\"\" folders=\"\" value=\"\"\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"",
          out);
    for (size_t i = 0; tables[i]; i++)
        fprintf(out, "%s ", tables[i]->command);
    fputs("--help --version\"\n"
          "    elif [ \"$COMP_CWORD\" -eq 2 ]; then\n        case $command in\n",
          out);
    for (size_t i = 0; tables[i]; i++)
        if (tables[i]->actions)
            print_actions(tables[i], out);
    fputs("        esac\n    fi\n"
          "    case $command in\n    ",
          out);
    const char *between = "";
    for (size_t i = 0; tables[i]; i++)
        if (tables[i]->actions) {
            fprintf(out, "%s%s", between, tables[i]->command);
            between = " | ";
        }
    fputs(") scope+=\" ${COMP_WORDS[2]}\" ;;\n    esac\n"
          "    if [ -z \"$words\" ]; then # the value of an option\n"
          "        case \"$command $before\" in\n",
          out);
    for (size_t i = 0; tables[i]; i++)
        print_values(tables[i], out);
    fputs("        esac\n    fi\n"
          "    if [ -z \"$words$files$folders$value\" ]; then # an option, or an argument\n"
          "        case \"$current $scope\" in\n"
          "        -*) ;;\n        *)\n            case $scope in\n",
          out);
    for (size_t i = 0; tables[i]; i++)
        print_operands(tables[i], out);
    fputs("            esac\n            ;;\n        esac\n"
          "        [ -n \"$words\" ] || case $scope in\n",
          out);
    for (size_t i = 0; tables[i]; i++)
        print_options(tables[i], out);
    fputs("        esac\n    fi\n"
          "    # shellcheck disable=SC2207\n"
          "    if [ -n \"$folders\" ]; then\n        COMPREPLY=($(compgen -d -- \"$current\"))\n"
          "    elif [ -n \"$words\" ]; then\n        COMPREPLY=($(compgen -W \"$words\" -- "
          "\"$current\"))\n    fi\n"
          "}\n"
          "complete -o default -F _softsev softsev\n",
          out);
}
