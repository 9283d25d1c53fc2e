/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner id-block: the 96 bytes that say what may be launched and the page that
 * authenticates them, as files for SNP_LAUNCH_FINISH and as base64 for QEMU's id-block and id-auth
 * [snp 5.6, 10.3].
 */
#include "cli/cli.h"
#include "cli/owner/owner_cli.h"
#include "cli/input.h"

#include "base/bytes.h"
#include "owner/id_block.h"

#include <jansson.h>

struct keys {
    struct ec_private id, author;
    bool has_author;
    struct file_set files; /* what is written: new keys first */
};

static int read_key(const char *path, struct ec_private *out, struct error *e)
{
    struct cli_file f;
    if (cli_read_small(path, &f, e))
        return -1;
    const char *wrong = crypto_ec_private_read(f.data, f.size, out);
    crypto_wipe(f.data, f.size);
    cli_free_file(&f);
    return wrong ? error_set(e, ERROR_FILE, "%s: %s", path, wrong) : 0;
}

static int make_key(struct crypto *c, const struct options *options, struct keys *k,
                    const char *name, struct ec_private *out, struct error *e)
{
    char pem[CRYPTO_EC_PEM_MAX];
    size_t size = crypto_ec_generate(c, out) ? crypto_ec_private_pem(out, pem, sizeof pem) : 0;
    if (size)
        owner_add_secret(options, &k->files, name, pem, size);
    crypto_wipe(pem, sizeof pem);
    return size ? 0 : error_set(e, ERROR_INTERNAL, "OpenSSL cannot make a key");
}

static int open_keys(struct crypto *c, const struct options *options, struct keys *k,
                     struct error *e)
{
    const char *id = options->text[OWNER_ID_KEY_FILE], *author = options->text[OWNER_AUTHOR_FILE];
    bool new_author = options->text[OWNER_NEW_AUTHOR];
    k->has_author = author || new_author;
    if (id ? read_key(id, &k->id, e) : make_key(c, options, k, "id-key.pem", &k->id, e))
        return -1;
    if (!k->has_author)
        return 0;
    return author ? read_key(author, &k->author, e)
                  : make_key(c, options, k, "author-key.pem", &k->author, e);
}

/* Takes the measurement from --digest, or computes it from the files. */
static int choose_measurement(const struct options *options, u8 ld[48], struct error *e)
{
    struct owner_contributions c;
    if (options->text[OWNER_DIGEST])
        return owner_hex("digest", options->text[OWNER_DIGEST], ld, 48, e);
    if (owner_measure_files(options, &c, e))
        return -1;
    memcpy(ld, c.digest, 48);
    owner_free_contributions(&c);
    return 0;
}

static int fill(const struct options *options, struct snp_id_block *block, struct error *e)
{
    u8 family[16] = {0}, image[16] = {0}, ld[48];
    if (choose_measurement(options, ld, e) ||
        owner_hex("family-id", options->text[OWNER_FAMILY_ID], family, sizeof family, e) ||
        owner_hex("image-id", options->text[OWNER_IMAGE_ID], image, sizeof image, e))
        return -1;
    *block = (struct snp_id_block){
        .guest_svn = (u32)options_number(options, OWNER_SVN, 0),
        .policy = options_number(options, OWNER_POLICY, SNP_POLICY_QEMU_DEFAULT),
    };
    memcpy(block->ld, ld, sizeof ld);
    memcpy(block->family_id, family, sizeof family);
    memcpy(block->image_id, image, sizeof image);
    return 0;
}

/* Writes new keys, block and signatures together: all of them exist afterwards, or none. */
static int write_files(const struct options *options, struct keys *k,
                       const struct snp_id_block *block, const struct snp_id_auth *auth,
                       struct error *e)
{
    file_set_add(&k->files, "id-block.bin", block, sizeof *block, false);
    owner_add_base64(&k->files, "id-block.b64", block, sizeof *block);
    owner_add_base64(&k->files, "id-auth.b64", auth, sizeof *auth);
    file_set_add(&k->files, "id-auth.bin", auth, sizeof *auth, false);
    return owner_write_out(options, &k->files, e);
}

static void print(const struct options *options, const struct snp_id_block *block,
                  const struct snp_id_auth *auth)
{
    u8 digest[48];
    char ld[97], id[97], author[97] = "";
    hex_encode(ld, block->ld, sizeof block->ld);
    id_block_key_digest(&auth->id_key, digest);
    hex_encode(id, digest, sizeof digest);
    id_block_key_digest(&auth->author_key, digest);
    if (id_block_has_author(auth))
        hex_encode(author, digest, sizeof digest);
    if (options->text[OWNER_JSON]) {
        json_t *j = json_pack("{s:s, s:I, s:I, s:s, s:s}", "measurement", ld, "policy",
                              (json_int_t)block->policy, "svn", (json_int_t)block->guest_svn,
                              "id_key_digest", id, "author_key_digest", author);
        cli_print_json(j);
        return;
    }
    printf("measurement        %s\nid key digest      %s\n", ld, id);
    if (*author)
        printf("author key digest  %s\n", author);
    printf("%s: id-block.bin and id-auth.bin for SNP_LAUNCH_FINISH; .b64 for QEMU's id-block and "
           "id-auth%s\n",
           options->text[OWNER_OUT_DIR], *author ? ", with author-key-enabled=on" : "");
}

int owner_make_id_block(const struct options *options, struct error *e)
{
    struct snp_id_block block;
    struct snp_id_auth auth;
    struct keys k = {.has_author = false};
    const char *seed = options->text[OWNER_SEED];
    if (fill(options, &block, e))
        return -1;
    struct crypto *c = crypto_create(seed, seed ? strlen(seed) : 0);
    if (!c)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    int result =
        open_keys(c, options, &k, e) ||
                id_block_sign(c, &block, &k.id, k.has_author ? &k.author : NULL, &auth, e) ||
                write_files(options, &k, &block, &auth, e)
            ? -1
            : 0;
    file_set_free(&k.files);
    crypto_wipe(&k, sizeof k);
    crypto_destroy(c);
    if (!result)
        print(options, &block, &auth);
    return result;
}

/* --- For verify ------------------------------------------------------------------------------- */

int owner_read_id_block(const struct options *options, struct snp_id_block *block,
                        struct snp_id_auth *auth, struct error *e)
{
    return owner_read_exactly(options->text[OWNER_ID_BLOCK], "an ID block", block, sizeof *block,
                              e) ||
                   owner_read_exactly(options->text[OWNER_ID_AUTH], "an ID auth page", auth,
                                      sizeof *auth, e) ||
                   id_block_check(block, sizeof *block, auth, sizeof *auth, e)
               ? -1
               : 0;
}
