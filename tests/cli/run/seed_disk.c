/* SPDX-License-Identifier: Apache-2.0 */
/* cloud-init's seed disk, read back by blkid and by mtools. The stock guest's kernel mounts one in
 * tests/story/control.py. */
#define _GNU_SOURCE
#include "cli/run/seed_disk.h"
#include "../../needs.h"

static const u8 user_data[] = "#cloud-config\nhostname: softsev\n";
static u8 large[SEED_FILE_SIZE_MAX];

static const struct seed_file files[] = {
    {"user-data", "USER-D~1   ", user_data, sizeof user_data - 1},
    {"meta-data", "META-D~1   ", NULL, 0},
    {"network-config", "NETWOR~1   ", large, sizeof large},
    {"vendor-data", "VENDOR~1   ", large, 2048},
};

static void fill(void)
{
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (u8)(i * 2654435761u >> 13);
}

/* Writes the disk to a file; the caller frees the path. */
static char *write_disk(u32 count)
{
    size_t size;
    u8 *disk = seed_disk_make("CIDATA     ", files, count, &size);
    char *path = strdup("/tmp/softsev-seed-XXXXXX");
    assert_non_null(disk);
    assert_int_equal(size % 512, 0);
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, disk, size) == (ssize_t)size);
    close(fd);
    free(disk);
    return path;
}

/* Runs a program on the disk. */
static void output_of(const char *format, const char *path, char *out, size_t size)
{
    char command[300];
    snprintf(command, sizeof command, format, path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    out[fread(out, 1, size - 1, f)] = 0;
    pclose(f);
}

static void remove_disk(char *path)
{
    unlink(path);
    free(path);
}

test_that_needs(blkid_finds_the_label, .program = "/sbin/blkid")
{
    char text[400], *path = write_disk(ARRAY_SIZE(files));
    (void)state;
    output_of("/sbin/blkid -p -o export %s 2>/dev/null", path, text, sizeof text);
    remove_disk(path);
    assert_non_null(strstr(text, "LABEL=CIDATA\n"));
    assert_non_null(strstr(text, "TYPE=vfat\n"));
    assert_non_null(strstr(text, "VERSION=FAT12\n"));
}

test_that_needs(mtools_reads_the_files, .program = "mtype")
{
    static char got[SEED_FILE_SIZE_MAX + 2];
    char format[100], *path = write_disk(ARRAY_SIZE(files));
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(files); i++) {
        memset(got, 1, sizeof got);
        snprintf(format, sizeof format, "mtype -i %%s ::%s 2>/dev/null", files[i].name);
        output_of(format, path, got, sizeof got);
        if (files[i].size)
            assert_memory_equal(got, files[i].data, files[i].size);
        assert_int_equal(got[files[i].size], 0);
    }
    remove_disk(path);
}

test_that_needs(a_checker_finds_nothing_wrong, .program = "/sbin/fsck.fat")
{
    char text[2000];
    (void)state;
    for (u32 count = 0; count <= ARRAY_SIZE(files); count++) {
        char *path = write_disk(count);
        output_of("/sbin/fsck.fat -n -v %s 2>&1 && echo clean", path, text, sizeof text);
        remove_disk(path);
        assert_non_null(strstr(text, "clean"));
    }
}

static void equal_files_give_equal_disks(void **state)
{
    size_t sizes[3];
    u8 *disks[3];
    struct seed_file other[ARRAY_SIZE(files)];
    (void)state;
    memcpy(other, files, sizeof other);
    other[0].data = (const u8 *)"#cloud-config\nhostname: SOFTSEV\n";
    for (u32 i = 0; i < 3; i++)
        disks[i] =
            seed_disk_make("CIDATA     ", i < 2 ? files : other, ARRAY_SIZE(files), &sizes[i]);
    assert_true(sizes[0] == sizes[1] && sizes[0] == sizes[2]);
    assert_memory_equal(disks[0], disks[1], sizes[0]);
    assert_memory_not_equal(disks[0] + 39, disks[2] + 39, 4); /* the serial number */
    for (u32 i = 0; i < 3; i++)
        free(disks[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blkid_finds_the_label),
        cmocka_unit_test(mtools_reads_the_files),
        cmocka_unit_test(a_checker_finds_nothing_wrong),
        cmocka_unit_test(equal_files_give_equal_disks),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
