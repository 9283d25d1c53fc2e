/* SPDX-License-Identifier: Apache-2.0 */
/* AMD's extensions in the certificate of a VCEK or VLEK [snp 8.1]. */
#include "owner/report.h"

#include "crypto/der.h"

#define ARC "1.3.6.1.4.1.3704.1."

/* An INTEGER of 0 to 255, as SPLs are: 02 01 xx, or 02 02 00 xx from 128. */
static bool read_spl(const struct crypto_certificate *c, const char *oid, u8 *out)
{
    const u8 *p;
    size_t size;
    if (crypto_certificate_extension(c, oid, &p, &size) != 1)
        return false;
    if (size == 3 && p[0] == DER_INTEGER && p[1] == 1 && p[2] < 128)
        *out = p[2];
    else if (size == 4 && p[0] == DER_INTEGER && p[1] == 2 && !p[2] && p[3] >= 128)
        *out = p[3];
    else
        return false;
    return true;
}

static bool read_string(const struct crypto_certificate *c, const char *oid, char *out, size_t room)
{
    const u8 *p;
    size_t size;
    if (crypto_certificate_extension(c, oid, &p, &size) != 1 || size < 2 ||
        p[0] != DER_IA5_STRING || p[1] != size - 2 || size - 2 >= room)
        return false;
    for (size_t i = 2; i < size; i++)
        if (p[i] < ' ' || p[i] > '~')
            return false;
    memcpy(out, p + 2, size - 2);
    out[size - 2] = 0;
    return true;
}

static bool read_spls(const struct crypto_certificate *c, struct report_endorsement *out)
{
    static const char *const zero[] = {ARC "3.5", ARC "3.6", ARC "3.7", ARC "3.4"};
    u8 version, spl;
    if (!read_spl(c, ARC "1", &version) || version > 1)
        return false;
    out->layout = version ? SNP_TCB_TURIN : SNP_TCB_MILAN;
    for (size_t i = 0; i < (version ? 3 : ARRAY_SIZE(zero)); i++)
        if (!read_spl(c, zero[i], &spl) || spl)
            return false;
    return read_spl(c, ARC "3.1", &out->tcb.boot_loader) && read_spl(c, ARC "3.2", &out->tcb.tee) &&
           read_spl(c, ARC "3.3", &out->tcb.snp) && read_spl(c, ARC "3.8", &out->tcb.microcode) &&
           (!version || read_spl(c, ARC "3.9", &out->tcb.fmc));
}

/* Takes hwID as AMD writes it, the bytes themselves, or as an OCTET STRING of them. */
static bool read_chip(const struct crypto_certificate *c, struct report_endorsement *out)
{
    const u8 *id;
    size_t size;
    char provider[128];
    int ids = crypto_certificate_extension(c, ARC "4", &id, &size);
    if (ids == 0) {
        out->vlek = true;
        return read_string(c, ARC "5", provider, sizeof provider);
    }
    if (ids != 1 || !size)
        return false;
    if ((size == 66 || size == 10) && id[0] == DER_OCTET_STRING && id[1] == size - 2) {
        id += 2;
        size -= 2;
    }
    if (size != 64 && size != 8)
        return false;
    memcpy(out->chip_id, id, size);
    out->chip_id_size = size;
    return true;
}

int report_endorsement_read(const struct crypto_certificate *c, struct report_endorsement *out,
                            struct error *e)
{
    char name[64];
    memset(out, 0, sizeof *out);
    crypto_certificate_subject(c, name, sizeof name);
    if (!read_spls(c, out))
        return error_set(e, ERROR_MEASUREMENT, "%s: its TCB extensions are not as they should be",
                         name);
    if (!read_string(c, ARC "2", out->product, sizeof out->product))
        return error_set(e, ERROR_MEASUREMENT, "%s: its extension productName is not a name", name);
    if (!read_chip(c, out))
        return error_set(e, ERROR_MEASUREMENT,
                         "%s: neither a chip's id of 64 or 8 bytes nor a cloud provider's", name);
    if (!crypto_certificate_ec_key(c, &out->key))
        return error_set(e, ERROR_MEASUREMENT, "%s: its key is not on P-384", name);
    return 0;
}
