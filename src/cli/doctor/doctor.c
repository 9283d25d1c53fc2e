/* SPDX-License-Identifier: Apache-2.0 */
/* softsev doctor: what this computer lacks for each feature. No device file and no privilege is
 * ever needed. */
#include "cli/doctor/doctor.h"

#include "cli/cli.h"
#include "cli/options.h"

#include <jansson.h>
#include <stdio.h>

static const struct option_choice features[] = {
    [DOCTOR_RUN] = {"run", DOCTOR_RUN, false},
    [DOCTOR_SPEED] = {"speed", DOCTOR_SPEED, false},
    [DOCTOR_WITH] = {"with", DOCTOR_WITH, false},
    [DOCTOR_NET] = {"net", DOCTOR_NET, false},
    [DOCTOR_STATE] = {"state", DOCTOR_STATE, false},
    [DOCTOR_GUEST] = {"guest", DOCTOR_GUEST, false},
    [DOCTOR_KDS] = {"kds", DOCTOR_KDS, false},
    [DOCTOR_ASK_KDS] = {"ask-kds", DOCTOR_ASK_KDS, false},
    [DOCTOR_GDB] = {"gdb", DOCTOR_GDB, false},
    [DOCTOR_FEATURES] = {NULL, 0, false},
};

enum doctor_option { DOCTOR_FEATURE = 1, DOCTOR_JSON };

// clang-format off
static const struct option_row rows[] = {
    [DOCTOR_FEATURE] = {"feature", OPTION_CHOICE, "NAME",
        "look at this feature alone; may be repeated: run, speed\n(the JIT), with, net, state, "
        "guest (fetch), kds (serve),\nask-kds, gdb",
        "Look at this feature alone; may be repeated.\n"
        ".Cm run :\nguests;\n.Cm speed :\nthe JIT;\n.Cm with :\ndevice files for programs;\n"
        ".Cm net :\na network for guests;\n"
        ".Cm state :\na platform that lasts;\n.Cm guest :\n.Ic softsev guest fetch ;\n"
        ".Cm kds :\nserving certificates;\n.Cm ask-kds :\nasking a server for them;\n"
        ".Cm gdb :\nGDB in a guest.",
        .choices = features, .list = true},
    [DOCTOR_JSON] = {"json", OPTION_FLAG, NULL, "print one line of JSON: an array of objects",
        .man = "Print one line of JSON, an array of objects: feature, needs, good, found, and "
        "remedy where something is lacking."},
};
// clang-format on

const struct option_table cli_doctor_table = {
    .command = "doctor",
    .title = "say what this computer lacks for each feature",
    .usage = "softsev doctor [--feature NAME]... [--json]",
    .about = "Tries what each feature needs of this computer, and says what is lacking and\n"
             "what to do about it. The exit code is 0 if nothing is lacking, else 1.\n"
             "softsev needs no device file and no privileges.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
};

static bool wanted(const struct options *o, enum doctor_feature feature)
{
    for (size_t i = 0; i < o->list_count; i++)
        if (!strcmp(o->list[i], features[feature].name))
            return true;
    return !o->list_count;
}

static void print(const struct doctor_check *c, bool good, const char *found)
{
    printf("%-8s %-6s %s: %s\n", features[c->feature].name, good ? "ok" : "lacks", c->needs, found);
    if (!good)
        printf("%-15s %s\n", "", c->remedy);
}

static json_t *as_json(const struct doctor_check *c, bool good, const char *found)
{
    json_t *j = json_pack("{s:s, s:s, s:b, s:o}", "feature", features[c->feature].name, "needs",
                          c->needs, "good", good, "found", cli_json_text(found));
    if (j && !good)
        json_object_set_new(j, "remedy", json_string(c->remedy));
    return j;
}

int cli_doctor(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options o;
    int status;
    bool all_good = true;
    if (!options_open(&cli_doctor_table, argc, argv, &o, &status))
        return status;
    json_t *all = json_array();
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct doctor_check *c = &doctor_checks[i];
        char found[DOCTOR_TEXT];
        if (!wanted(&o, c->feature))
            continue;
        const bool good = c->check(found);
        all_good = all_good && good;
        if (o.text[DOCTOR_JSON])
            json_array_append_new(all, as_json(c, good, found));
        else
            print(c, good, found);
    }
    if (o.text[DOCTOR_JSON] && cli_tell_json(all, &e))
        return cli_fail("doctor", &e);
    if (!o.text[DOCTOR_JSON])
        json_decref(all);
    return all_good ? ERROR_NONE : ERROR_INTERNAL;
}
