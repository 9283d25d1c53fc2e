/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every option that says what is launched changes the digest, or is refused: each, and each pair of
 * them, is given to `softsev owner measure` beside a kernel, a flash image, and both, in every
 * mode.
 */
#include "owner_rig.h"
#include "small_elf.h"

/* --- A flash image with all that OVMF's metadata may have: one page of our own ---------------- */

struct section {
    u32 gpa, size, type;
};

static void entry(struct writer *w, const void *data, size_t size, const char *guid)
{
    u8 bytes[16];
    assert_true(hex_decode(bytes, sizeof bytes, guid));
    write_bytes(w, data, size);
    write_u16(w, (u16)(size + 18));
    write_bytes(w, bytes, sizeof bytes);
}

static void write_flash(const char *path)
{
    static const struct section sections[] = {{0x800000, 0x9000, 1},
                                              {0x80d000, PAGE_SIZE, 2},
                                              {0x80e000, PAGE_SIZE, 3},
                                              {0x80f000, PAGE_SIZE, 1},
                                              {0x810000, PAGE_SIZE, 0x10}};
    static const u32 hashes[2] = {0x810000, 0x400}, reset = 0x80b004, metadata = 0x800;
    u8 image[PAGE_SIZE], table[200];
    memset(image, 0xf4, sizeof image);
    struct writer w = writer_of(image + PAGE_SIZE - metadata, metadata / 2);
    write_bytes(&w, "ASEV", 4);
    write_u32(&w, (u32)(16 + sizeof sections));
    write_u32(&w, 1);
    write_u32(&w, ARRAY_SIZE(sections));
    write_bytes(&w, sections, sizeof sections);
    w = writer_of(table, sizeof table);
    entry(&w, hashes, sizeof hashes, "1f3755723b3a044b927b1da6efa8d454");
    entry(&w, &reset, sizeof reset, "de71f7007e1acb4f890e68c77e2fb44e");
    entry(&w, &metadata, sizeof metadata, "666588dc4a989847a75e5585a7bf67cc");
    u16 size = (u16)(w.at + 18);
    u8 footer[16];
    assert_true(hex_decode(footer, sizeof footer, "de82b596b21ff745baeaa366c55a082d"));
    write_u16(&w, size);
    write_bytes(&w, footer, sizeof footer);
    memcpy(image + PAGE_SIZE - 32 - w.at, table, w.at);
    write_file(path, image, sizeof image);
}

/* --- Options and what they change ------------------------------------------------------------- */

#define HASH                                                                                       \
    "111111111111111111111111111111111111111111111111"                                             \
    "111111111111111111111111111111111111111111111111"

/* Values that are nobody's default. */
static const char *const options[] = {
    "--initrd initrd",
    "--append quiet",
    "--memory 64M",
    "--owner-secret",
    "--vcpus 2",
    "--vcpu-type EPYC-Genoa",
    "--vmm-type ec2",
    "--guest-features 0x21",
    "--ovmf-hash " HASH,
    "--ovmf-only",
    "--kernel-hashes",
    "--kernel other",
    "--firmware flash",
    "--digest " HASH,
    "--launch other",
    "--policy 3",
    "--state other",
    "--build 7",
    "--guest-features 0x20", /* of SEV-ES, as the other is of SNP */
};

/* What is launched without them; those of a flash image need a processor's model where processors
 * are measured. */
static const char *const launches[][2] = {
    {"--kernel elf", ""},
    {"--firmware flash", " --vcpu-type EPYC-Milan"},
    {"--firmware flash --kernel elf --kernel-hashes", " --vcpu-type EPYC-Milan"}};
static const char *const modes[] = {"sev", "sev-es", "sev-snp"};

/* The digest of a launch with one or two more options; false: they are refused. */
static bool digest_of(const char *launch, const char *mode, const char *one, const char *two,
                      char out[100])
{
    char line[600];
    snprintf(line, sizeof line, "measure --mode %s %s %s %s", mode, launch, one, two);
    const int code = owner(line);
    if (code != ERROR_USAGE)
        assert_int_equal(code, 0);
    snprintf(out, 100, "%.99s", code ? "" : said);
    return code == 0;
}

/* --vcpu-type of the launch gives way to the one that is tried, and to --ovmf-only. */
static void launch_of(size_t i, const char *mode, const char *one, const char *two, char out[200])
{
    const bool model = strcmp(mode, "sev") && !strstr(one, "vcpu-type") &&
                       !strstr(two, "vcpu-type") && !strstr(one, "ovmf-only") &&
                       !strstr(two, "ovmf-only");
    snprintf(out, 200, "%s%s", launches[i][0], model ? launches[i][1] : "");
}

/* A model is said of every launch, as other calculators want it, but hypervisors other than QEMU
 * show it in no register. */
static bool may_be_equal(const char *one, const char *two)
{
    return strstr(one, "--vcpu-type") && strstr(two, "--vmm-type ec2");
}

/* Tries one pair; returns whether both were taken. */
static bool try_pair(size_t launch, const char *mode, const char *one, const char *two)
{
    char line[200], both[100], alone[100];
    launch_of(launch, mode, one, two, line);
    if (!digest_of(line, mode, one, two, both))
        return false;
    const char *const others[] = {one, two};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        launch_of(launch, mode, others[i], "", line);
        if (!digest_of(line, mode, others[i], "", alone) || strcmp(alone, both) ||
            may_be_equal(one, two))
            continue;
        print_message("# %s --mode %s: of %s and %s the digest is as of %s\n", line, mode, one, two,
                      others[i]);
        fail();
    }
    return true;
}

static void every_option_of_a_launch_counts_or_is_refused(void **state)
{
    (void)state;
    u8 elf[SMALL_ELF_SIZE];
    size_t taken = 0, refused = 0;
    small_elf(elf, MIB(2), MIB(2), 0x100);
    write_file("elf", elf, sizeof elf);
    elf[0x180] = 1;
    write_file("other", elf, sizeof elf);
    write_file("initrd", "initrd", 6);
    write_flash("flash");
    for (size_t l = 0; l < ARRAY_SIZE(launches); l++)
        for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
            for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                for (size_t k = i + 1; k < ARRAY_SIZE(options); k++)
                    *(try_pair(l, modes[m], options[i], options[k]) ? &taken : &refused) += 1;
    assert_true(taken > 60 && refused > 600);
}

/* One option alone against none. */
static void a_single_option_counts_or_is_refused(void **state)
{
    (void)state;
    char line[200], with[100], without[100];
    for (size_t l = 0; l < ARRAY_SIZE(launches); l++)
        for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
            for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                launch_of(l, modes[m], options[i], "", line);
                if (!digest_of(line, modes[m], options[i], "", with))
                    continue;
                launch_of(l, modes[m], "", "", line);
                assert_true(digest_of(line, modes[m], "", "", without));
                if (!strcmp(with, without))
                    print_message("# %s --mode %s: %s\n", line, modes[m], options[i]);
                assert_string_not_equal(with, without);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_of_a_launch_counts_or_is_refused),
        cmocka_unit_test(a_single_option_counts_or_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
