/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine monitor in one file, for a Linux host on the bare machine: makes a VM by
 * /dev/kvm, plain or as a SEV, SEV-ES or SNP guest, runs a few real-mode instructions in it, and
 * says what came out.
 *
 * usage: host-kvm MODE [COUNT]    MODE is none, sev, sev-es or sev-snp
 * With a count the guest also asks for CPUID so many times, and the time that each took is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define GUEST_SIZE 0x10000u
#define CODE_AT    0x1000u
#define PORT_SAY   0x10u
#define PORT_END   0x11u
#define TERMINATES 0x420100u /* GHCB MSR: termination, reason 42h */

/* --- What headers before Linux 6.12 do not have ----------------------------------------------- */

enum { SEV_INIT2 = 22, SNP_LAUNCH_START = 100, SNP_LAUNCH_UPDATE, SNP_LAUNCH_FINISH };
enum { TYPE_SEV = 2, TYPE_SEV_ES = 3, TYPE_SNP = 4 };

struct sev_init2 {
    uint64_t vmsa_features;
    uint32_t flags;
    uint16_t ghcb_version, pad_1;
    uint32_t pad_2[8];
};

struct snp_start {
    uint64_t policy;
    uint8_t gosvw[16];
    uint16_t flags;
    uint8_t pad_1[6];
    uint64_t pad_2[4];
};

struct snp_update {
    uint64_t frame, address, size;
    uint8_t type, pad_1;
    uint16_t flags;
    uint32_t pad_2;
    uint64_t pad_3[4];
};

struct snp_finish {
    uint64_t id_block, id_auth;
    uint8_t id_block_on, auth_key_on, vcek_off, host_data[32], pad_1[3];
    uint16_t flags;
    uint64_t pad_2[4];
};

struct region2 {
    uint32_t slot, flags;
    uint64_t guest_address, size, address, memfd_offset;
    uint32_t memfd, pad_1;
    uint64_t pad_2[14];
};

struct memfd {
    uint64_t size, flags, reserved[6];
};

struct attributes {
    uint64_t address, size, attributes, flags;
};

#define CREATE_MEMFD      _IOWR(KVMIO, 0xd4, struct memfd)
#define SET_REGION2       _IOW(KVMIO, 0x49, struct region2)
#define SET_ATTRIBUTES    _IOW(KVMIO, 0xd2, struct attributes)
#define REGION_MEMFD      4u
#define ATTRIBUTE_PRIVATE 8u

/* --- The guests
 * ----------------------------------------------------------------------------------- */

/* Adds AL and BL, says the sum and a newline, executes CPUID ESI times, and ends. */
static const uint8_t plain_code[] = {
    0x00, 0xd8,           /* add al, bl */
    0xe6, PORT_SAY,       /* out PORT_SAY, al */
    0xb0, '\n',           /* mov al, '\n' */
    0xe6, PORT_SAY,       /* out PORT_SAY, al */
    0x66, 0x85,     0xf6, /* again: test esi, esi */
    0x74, 0x08,           /* jz done */
    0x31, 0xc0,           /* xor ax, ax */
    0x0f, 0xa2,           /* cpuid */
    0x66, 0x4e,           /* dec esi */
    0xeb, 0xf3,           /* jmp again */
    0xe6, PORT_END,       /* done: out PORT_END, al */
    0xeb, 0xfe,           /* jmp $ */
};

/* The host of these does not see the registers: requests go through the GHCB MSR. Asks for EBX of
 * CPUID 0 ESI times, then asks to be terminated. */
static const uint8_t es_code[] = {
    0x66, 0xb9, 0x30, 0x01, 0x01, 0xc0, /* mov ecx, C001_0130 */
    0x66, 0x85, 0xf6,                   /* again: test esi, esi */
    0x74, 0x13,                         /* jz done */
    0x66, 0x31, 0xd2,                   /* xor edx, edx */
    0x66, 0xb8, 0x04, 0x00, 0x00, 0x40, /* mov eax, 4000_0004 */
    0x0f, 0x30,                         /* wrmsr */
    0xf3, 0x0f, 0x01, 0xd9,             /* vmgexit */
    0x66, 0x4e,                         /* dec esi */
    0xeb, 0xe8,                         /* jmp again */
    0x66, 0x31, 0xd2,                   /* done: xor edx, edx */
    0x66, 0xb8, 0x00, 0x01, 0x42, 0x00, /* mov eax, TERMINATES */
    0x0f, 0x30,                         /* wrmsr */
    0xf3, 0x0f, 0x01, 0xd9,             /* vmgexit */
    0xeb, 0xfe,                         /* jmp $ */
};

static const struct mode {
    const char *name;
    unsigned long type;
    const uint8_t *code;
    size_t size;
} modes[] = {
    {"none", 0, plain_code, sizeof plain_code},
    {"sev", TYPE_SEV, plain_code, sizeof plain_code},
    {"sev-es", TYPE_SEV_ES, es_code, sizeof es_code},
    {"sev-snp", TYPE_SNP, es_code, sizeof es_code},
};

/* --- The VM
 * --------------------------------------------------------------------------------------- */

struct machine {
    const struct mode *mode;
    int kvm, sev, vm, cpu;
    uint8_t *memory;
    struct kvm_run *run;
};

static int fail(const struct machine *m, const char *what)
{
    printf("kvm: %s: %s: %s\n", m->mode->name, what, strerror(errno));
    return 1;
}

static int sev(const struct machine *m, uint32_t command, void *data, const char *what)
{
    struct kvm_sev_cmd c = {
        .id = command, .data = (uint64_t)(uintptr_t)data, .sev_fd = (uint32_t)m->sev};
    if (!ioctl(m->vm, KVM_MEMORY_ENCRYPT_OP, &c))
        return 0;
    printf("kvm: %s: %s: %s, firmware status %#x\n", m->mode->name, what, strerror(errno), c.error);
    return 1;
}

/* Memory of an SNP guest is KVM's own; what is mapped here is copied at the launch. */
static int make_memory(struct machine *m)
{
    const uint64_t at = (uint64_t)(uintptr_t)m->memory;
    const struct kvm_userspace_memory_region plain = {.memory_size = GUEST_SIZE,
                                                      .userspace_addr = at};
    if (m->mode->type != TYPE_SNP)
        return ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &plain)
                   ? fail(m, "KVM_SET_USER_MEMORY_REGION")
                   : 0;
    struct memfd own = {.size = GUEST_SIZE};
    const int fd = ioctl(m->vm, CREATE_MEMFD, &own);
    const struct region2 region = {
        .flags = REGION_MEMFD, .size = GUEST_SIZE, .address = at, .memfd = (uint32_t)fd};
    const struct attributes attributes = {.size = GUEST_SIZE, .attributes = ATTRIBUTE_PRIVATE};
    if (fd < 0)
        return fail(m, "KVM_CREATE_GUEST_MEMFD");
    if (ioctl(m->vm, SET_REGION2, &region) || ioctl(m->vm, SET_ATTRIBUTES, &attributes))
        return fail(m, "private memory");
    return 0;
}

static int make(struct machine *m)
{
    struct sev_init2 init = {.ghcb_version = m->mode->type == TYPE_SNP ? 2 : 0};
    m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    m->sev = m->mode->type ? open("/dev/sev", O_RDWR | O_CLOEXEC) : -1;
    m->vm = ioctl(m->kvm, KVM_CREATE_VM, m->mode->type);
    if (m->vm < 0 || (m->mode->type && m->sev < 0))
        return fail(m, "/dev/kvm, /dev/sev, KVM_CREATE_VM");
    m->memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->memory == MAP_FAILED)
        return fail(m, "memory");
    memcpy(m->memory + CODE_AT, m->mode->code, m->mode->size);
    if ((m->mode->type && sev(m, SEV_INIT2, &init, "KVM_SEV_INIT2")) || make_memory(m))
        return 1;
    m->cpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    const int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (m->cpu < 0 || size < 0)
        return fail(m, "KVM_CREATE_VCPU");
    m->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, m->cpu, 0);
    return m->run == MAP_FAILED ? fail(m, "the processor's page") : 0;
}

static int set_registers(struct machine *m, unsigned count)
{
    struct kvm_sregs s;
    const struct kvm_regs r = {.rip = CODE_AT, .rax = '0' + 2, .rbx = 3, .rsi = count, .rflags = 2};
    if (ioctl(m->cpu, KVM_GET_SREGS, &s))
        return fail(m, "KVM_GET_SREGS");
    s.cs.base = 0;
    s.cs.selector = 0;
    return ioctl(m->cpu, KVM_SET_SREGS, &s) || ioctl(m->cpu, KVM_SET_REGS, &r)
               ? fail(m, "KVM_SET_SREGS, KVM_SET_REGS")
               : 0;
}

/* --- The launch
 * ----------------------------------------------------------------------------------- */

static int launch_sev(struct machine *m)
{
    const bool es = m->mode->type == TYPE_SEV_ES;
    const uint64_t at = (uint64_t)(uintptr_t)m->memory;
    uint8_t measure[48];
    struct kvm_sev_launch_start start = {.policy = es ? 5 : 1};
    struct kvm_enc_region region = {at, GUEST_SIZE};
    struct kvm_sev_launch_update_data data = {at, GUEST_SIZE};
    struct kvm_sev_launch_measure result = {(uint64_t)(uintptr_t)measure, sizeof measure};
    if (sev(m, KVM_SEV_LAUNCH_START, &start, "LAUNCH_START"))
        return 1;
    if (ioctl(m->vm, KVM_MEMORY_ENCRYPT_REG_REGION, &region))
        return fail(m, "KVM_MEMORY_ENCRYPT_REG_REGION");
    if (sev(m, KVM_SEV_LAUNCH_UPDATE_DATA, &data, "LAUNCH_UPDATE_DATA") ||
        (es && sev(m, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "LAUNCH_UPDATE_VMSA")) ||
        sev(m, KVM_SEV_LAUNCH_MEASURE, &result, "LAUNCH_MEASURE"))
        return 1;
    printf("kvm: %s: measurement ", m->mode->name);
    for (unsigned i = 0; i < 32; i++)
        printf("%02x", measure[i]);
    printf("\n");
    return sev(m, KVM_SEV_LAUNCH_FINISH, NULL, "LAUNCH_FINISH");
}

static int launch_snp(struct machine *m)
{
    struct snp_start start = {.policy = 0x30000};
    struct snp_update update = {
        .address = (uint64_t)(uintptr_t)m->memory, .size = GUEST_SIZE, .type = 1};
    struct snp_finish finish = {0};
    return sev(m, SNP_LAUNCH_START, &start, "SNP_LAUNCH_START") ||
           sev(m, SNP_LAUNCH_UPDATE, &update, "SNP_LAUNCH_UPDATE") ||
           sev(m, SNP_LAUNCH_FINISH, &finish, "SNP_LAUNCH_FINISH");
}

static int launch(struct machine *m)
{
    return m->mode->type == TYPE_SNP ? launch_snp(m) : m->mode->type ? launch_sev(m) : 0;
}

/* --- The run
 * -------------------------------------------------------------------------------------- */

static int run(struct machine *m)
{
    for (;;) {
        if (ioctl(m->cpu, KVM_RUN, 0))
            return fail(m, "KVM_RUN");
        const struct kvm_run *r = m->run;
        if (r->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
            r->system_event.type == KVM_SYSTEM_EVENT_SEV_TERM) {
            printf("kvm: %s: the guest asks to be terminated: %#llx\n", m->mode->name,
                   (unsigned long long)r->system_event.data[0]);
            return r->system_event.data[0] != TERMINATES;
        }
        if (r->exit_reason != KVM_EXIT_IO || (r->io.port != PORT_SAY && r->io.port != PORT_END)) {
            printf("kvm: %s: the guest left for reason %u\n", m->mode->name, r->exit_reason);
            return 1;
        }
        if (r->io.port == PORT_END)
            return 0;
        const char said = ((const char *)r)[r->io.data_offset];
        if (said != '\n')
            printf("kvm: %s: the guest says %c\n", m->mode->name, said);
    }
}

int main(int argc, char **argv)
{
    const unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 0;
    struct machine m = {.mode = modes};
    struct timespec before, after;
    for (unsigned i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(modes[i].name, argv[1]))
            m.mode = &modes[i];
    if (make(&m) || set_registers(&m, count) || launch(&m))
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (run(&m))
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &after);
    if (count)
        printf("kvm: %s: %u times CPUID, %.0f ns each\n", m.mode->name, count,
               ((double)(after.tv_sec - before.tv_sec) * 1e9 +
                (double)(after.tv_nsec - before.tv_nsec)) /
                   count);
    return 0;
}
