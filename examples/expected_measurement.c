/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a guest owner's service: the launch digest of a kernel that a host claims to run, from the
 * files alone. Build it against the installed library:
 *
 *   cc expected_measurement.c $(pkg-config --cflags --libs softsev) -o expected_measurement
 *   ./expected_measurement vmlinuz initrd.gz "console=ttyS0"
 */
#include <softsev/base/bytes.h>
#include <softsev/image/image.h>

#include <stdio.h>
#include <stdlib.h>

static struct softsev_image_file file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct softsev_image_file file = {.name = path};
    if (f && !fseek(f, 0, SEEK_END)) {
        long size = ftell(f);
        void *data = size > 0 ? malloc((size_t)size) : NULL;
        rewind(f);
        if (data)
            file.size = fread(data, 1, (size_t)size, f);
        file.data = data;
    }
    if (f)
        fclose(f);
    return file;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s KERNEL INITRD COMMAND-LINE\n", argv[0]);
        return 2;
    }
    struct softsev_image_description description = {
        .memory_size = SOFTSEV_MIB(512),
        .mode = SOFTSEV_IMAGE_SEV,
        .kernel = file_read(argv[1]),
        .initrd = file_read(argv[2]),
        .command_line = argv[3],
    };
    struct softsev_error error = {.code = SOFTSEV_ERROR_NONE};
    struct softsev_image_plan *plan = softsev_image_build(&description, &error);
    if (!plan) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        return (int)error.code;
    }
    uint8_t digest[32];
    char text[65];
    if (softsev_image_digest(plan, digest, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    softsev_hex_encode(text, digest, sizeof digest);
    printf("launch digest %s over %u pieces\n", text, plan->piece_count);
    softsev_image_free(plan);
    return 0;
}
