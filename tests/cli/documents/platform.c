/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev platform from the outside: what it says, writes and refuses, with the exit codes that are
 * documented; and a guest whose policy lets it go to genuine platforms only.
 */
#include "authority/authority.h"
#include "cli/cli.h"
#include "state/state.h"
#include "output.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/softsev-platform-XXXXXX";
static char last_error[500], said[2000];

/* The program's own; here it is remembered. */
int cli_fail(const char *command, const struct error *error)
{
    assert_string_equal(command, "platform");
    assert_null(strchr(error->text, '\n'));
    snprintf(last_error, sizeof last_error, "%s", error->text);
    return (int)error->code;
}

static const char *path(const char *name)
{
    static char full[8][200];
    static unsigned turn;
    char *out = full[turn++ % ARRAY_SIZE(full)];
    snprintf(out, sizeof full[0], "%s/%s", folder, name);
    return out;
}

/* Runs `softsev platform` with standard output caught in `said`. */
static int platform(const char *a, const char *b, const char *c, const char *d, const char *e,
                    const char *f)
{
    char *argv[10] = {(char *)"platform"};
    const char *const words[] = {a, b, c, d, e, f, "--state", path("state")};
    int argc = 1;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i])
            argv[argc++] = (char *)(uintptr_t)words[i];
    int result = run_into(path("said"), cli_platform, argc, argv);
    said[read_file(path("said"), said, sizeof said - 1)] = 0;
    return result;
}

#define PLATFORM1(a)             platform(a, NULL, NULL, NULL, NULL, NULL)
#define PLATFORM3(a, b, c)       platform(a, b, c, NULL, NULL, NULL)
#define PLATFORM5(a, b, c, d, e) platform(a, b, c, d, e, NULL)

static void it_is_made_once_and_stays(void **state)
{
    (void)state;
    char first[sizeof said];
    assert_int_equal(PLATFORM1("status"), ERROR_STATE);
    assert_non_null(strstr(last_error, "has no platform; `softsev platform init --state"));
    assert_int_equal(PLATFORM3("init", "--seed", "one"), 0);
    strcpy(first, said);
    assert_non_null(strstr(first, "chain      ARK, ASK, CEK, PEK, PDH and OCA verify"));
    assert_int_equal(PLATFORM1("status"), 0);
    assert_string_equal(first, said);
    assert_int_equal(PLATFORM3("init", "--seed", "one"), 0);
    assert_string_equal(first, said);
    assert_int_equal(PLATFORM3("init", "--seed", "two"), ERROR_USAGE);
    assert_int_equal(PLATFORM3("status", "--json", NULL), 0);
    assert_non_null(strstr(said, "\"api_major\":1,\"api_minor\":55,\"build\":25"));
}

static void an_export_verifies_up_to_its_root(void **state)
{
    (void)state;
    struct sev_platform_chain chain, after;
    struct amd_chain root;
    u8 bytes[4000];
    assert_int_equal(PLATFORM1("export"), ERROR_USAGE);
    assert_int_equal(PLATFORM3("export", "--out", path("out")), 0);
    assert_int_equal(read_file(path("out/chain"), &chain, sizeof chain), sizeof chain);
    size_t size = read_file(path("out/root"), bytes, sizeof bytes);
    assert_int_equal(size, 3200);
    assert_int_equal(amd_chain_parse(bytes, size, &root).check, CERT_OK);
    assert_int_equal(chain_verify(&chain, &root).check, CERT_OK);
    assert_int_equal(PLATFORM1("pdh-gen"), 0);
    assert_int_equal(PLATFORM3("export", "--out", path("out")), 0);
    read_file(path("out/chain"), &after, sizeof after);
    assert_memory_not_equal(&chain.pdh, &after.pdh, sizeof chain.pdh);
    assert_memory_equal(&chain.chain, &after.chain, sizeof chain.chain);
    assert_int_equal(PLATFORM1("reset"), 0);
    assert_int_equal(PLATFORM3("export", "--out", path("out")), 0);
    read_file(path("out/chain"), &after, sizeof after);
    assert_memory_not_equal(&chain.chain.pek, &after.chain.pek, sizeof chain.pdh);
    assert_memory_equal(&chain.chain.cek, &after.chain.cek, sizeof chain.pdh);
    assert_int_equal(chain_verify(&after, &root).check, CERT_OK);
}

static void an_owner_takes_it_with_files(void **state)
{
    (void)state;
    struct crypto *c = crypto_create("owner", 5);
    struct ec_private key;
    struct sev_cert pek, oca;
    assert_int_equal(PLATFORM3("pek-csr", "--out", path("pek")), 0);
    assert_int_equal(read_file(path("pek"), &pek, sizeof pek), sizeof pek);
    assert_true(crypto_ec_generate(c, &key));
    sev_cert_init(&oca, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, 0, 0, &key.public);
    assert_true(sev_cert_sign(c, &oca, 0, SEV_USAGE_OCA, &key));
    write_file(path("oca"), &oca, sizeof oca);
    assert_int_equal(PLATFORM5("cert-import", "--pek", path("pek"), "--oca", path("oca")),
                     ERROR_FIRMWARE);
    assert_string_equal(last_error,
                        "PEK_CERT_IMPORT: BAD_SIGNATURE: the PEK is not signed by the OCA");
    assert_true(sev_cert_sign(c, &pek, 0, SEV_USAGE_OCA, &key));
    write_file(path("pek"), &pek, sizeof pek - 1);
    assert_int_equal(PLATFORM5("cert-import", "--pek", path("pek"), "--oca", path("oca")),
                     ERROR_FILE);
    write_file(path("pek"), &pek, sizeof pek);
    assert_int_equal(PLATFORM5("cert-import", "--pek", path("pek"), "--oca", path("oca")), 0);
    assert_non_null(strstr(said, "owner      external"));
    assert_int_equal(PLATFORM5("cert-import", "--pek", path("pek"), "--oca", path("oca")),
                     ERROR_FIRMWARE);
    assert_int_equal(PLATFORM1("pek-gen"), 0);
    assert_non_null(strstr(said, "owner      self"));
    crypto_destroy(c);
}

static void wrong_words_have_their_exit_codes(void **state)
{
    (void)state;
    struct error e = {.code = ERROR_NONE};
    assert_int_equal(PLATFORM1("frobnicate"), ERROR_USAGE);
    assert_int_equal(PLATFORM3("status", "--frob", NULL), ERROR_USAGE);
    assert_int_equal(PLATFORM3("status", "more", NULL), ERROR_USAGE);
    assert_int_equal(PLATFORM3("id", "--out", path("no/such/folder")), ERROR_FILE);
    struct state *held = state_open(path("state"), NULL, &e);
    assert_non_null(held);
    assert_int_equal(PLATFORM1("status"), ERROR_LOCKED);
    state_close(held);
    assert_int_equal(PLATFORM1("--help"), 0);
    unsigned lines = 0;
    for (const char *p = said; *p; p++)
        lines += *p == '\n';
    assert_in_range(lines, 10, 24);
}

/* --- POLICY.SEV: only where the root is ours [sev 5.4] ---------------------------------------- */

#define AT_PDH     0x1000u
#define AT_CHAIN   0x2000u
#define AT_AMD     0x4000u
#define AT_SESSION 0x6000u

struct board {
    struct memory *memory;
    struct firmware *firmware;
};

static struct board board_make(struct crypto *c, const struct amd_chain *root)
{
    struct random_source random = crypto_random_source(c);
    struct board b;
    b.memory =
        memory_create(&(struct memory_config){.size = KIB(64), .asids = 1, .random = &random});
    b.firmware = firmware_create(&(struct firmware_config){.memory = b.memory,
                                                           .crypto = c,
                                                           .fuses = {9},
                                                           .asid_min = 1,
                                                           .asid_max = 1,
                                                           .ark = root ? root->ark.bytes : NULL,
                                                           .ark_size = root ? root->ark.size : 0});
    assert_non_null(b.firmware);
    return b;
}

static u32 board_command(struct board *b, u32 id, void *buffer, size_t size)
{
    memory_write(b->memory, 0, KEY_RAW, buffer, size);
    u32 status = firmware_mailbox(b->firmware, id, 0);
    memory_read(b->memory, 0, KEY_RAW, buffer, size);
    return status;
}

/* A guest of POLICY.SEV on a platform that trusts `root`,
 * sent to itself with `certs` as its chain. */
static u32 send_genuine(struct crypto *c, const struct authority *maker,
                        const struct amd_chain *root, bool damage_pdh)
{
    struct board b = board_make(c, root);
    struct sev_init init = {.options = 0};
    struct sev_start start = {.policy = SEV_POLICY_SEV};
    struct sev_launch_range measure = {.handle = 1, .paddr = 0x8000, .len = SEV_MEASURE_SIZE};
    struct sev_handle finish = {1};
    struct sev_pdh_cert_export export = {.pdh_paddr = AT_PDH,
                                         .pdh_len = SEV_CERT_SIZE,
                                         .chain_paddr = AT_CHAIN,
                                         .chain_len = SEV_CERT_CHAIN_SIZE};
    assert_int_equal(board_command(&b, SEV_CMD_INIT, &init, sizeof init), 0);
    assert_int_equal(board_command(&b, SEV_CMD_LAUNCH_START, &start, sizeof start), 0);
    assert_int_equal(board_command(&b, SEV_CMD_LAUNCH_MEASURE, &measure, sizeof measure), 0);
    assert_int_equal(board_command(&b, SEV_CMD_LAUNCH_FINISH, &finish, sizeof finish), 0);
    assert_int_equal(board_command(&b, SEV_CMD_PDH_CERT_EXPORT, &export, sizeof export), 0);
    struct sev_cert_chain chain;
    u8 certs[4000];
    memory_read(b.memory, AT_CHAIN, KEY_RAW, &chain, sizeof chain);
    assert_true(authority_sign_cek(c, maker, &chain.cek));
    memory_write(b.memory, AT_CHAIN, KEY_RAW, &chain, sizeof chain);
    size_t size = authority_root_file(maker, certs, sizeof certs);
    memory_write(b.memory, AT_AMD, KEY_RAW, certs, size);
    if (damage_pdh)
        memory_write(b.memory, AT_PDH + 0x420, KEY_RAW, "\x55", 1);
    struct sev_send_start send = {
        .handle = 1,
        .pdh_paddr = AT_PDH,
        .pdh_len = SEV_CERT_SIZE,
        .plat_certs_paddr = AT_CHAIN,
        .plat_certs_len = SEV_CERT_CHAIN_SIZE,
        .amd_certs_paddr = AT_AMD,
        .amd_certs_len = (u32)size,
        .session_paddr = AT_SESSION,
        .session_len = SEV_SESSION_SIZE,
    };
    u32 status = board_command(&b, SEV_CMD_SEND_START, &send, sizeof send);
    firmware_destroy(b.firmware);
    memory_destroy(b.memory);
    return status;
}

static void a_guest_goes_to_genuine_platforms_only(void **state)
{
    (void)state;
    struct crypto *c = crypto_create("genuine", 7);
    struct authority *ours = authority_create(c, 2048), *theirs = authority_create(c, 2048);
    assert_true(ours && theirs);
    const struct amd_chain *root = authority_chain(ours);
    assert_int_equal(send_genuine(c, ours, root, false), SEV_STATUS_SUCCESS);
    assert_int_equal(send_genuine(c, ours, root, true), SEV_STATUS_BAD_SIGNATURE);
    assert_int_equal(send_genuine(c, theirs, root, false), SEV_STATUS_INVALID_CERTIFICATE);
    assert_int_equal(send_genuine(c, ours, NULL, false), SEV_STATUS_INVALID_CERTIFICATE);
    authority_free(ours);
    authority_free(theirs);
    crypto_destroy(c);
}

/* --- The folder of all tests ------------------------------------------------------------------ */

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static void empty(const char *name)
{
    DIR *d = opendir(name);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(name);
}

static int remove_folder(void **state)
{
    (void)state;
    empty(path("out"));
    empty(path("state"));
    empty(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_made_once_and_stays),
        cmocka_unit_test(an_export_verifies_up_to_its_root),
        cmocka_unit_test(an_owner_takes_it_with_files),
        cmocka_unit_test(wrong_words_have_their_exit_codes),
        cmocka_unit_test(a_guest_goes_to_genuine_platforms_only),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
