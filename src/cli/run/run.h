/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of `softsev run` share: what the user asked for, and what is
 * running. */
#ifndef SOFTSEV_CLI_RUN_H
#define SOFTSEV_CLI_RUN_H

#include <stdio.h>

#include "base/error.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/run/disk.h"
#include "cli/run/picture.h"
#include "cli/run/session.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"
#include "machine/machine.h"
#include "net/net.h"

/* The most VMs of a machine. ASIDs limit the number of encrypted ones, memory that of all. */
#define RUN_VMS_MAX 4096

struct run;

/* --- What was asked for (run_options.c) ------------------------------------------------------- */

struct run_vm_options {
    const char *name, *kernel, *initrd, *append, *firmware, *firmware_vars, *secret, *serial;
    struct run_disk_options disks[VM_DISKS_MAX];
    u32 disk_count;
    const char *cloud_init; /* folder of the files of a seed disk; NULL: there is none */
    struct net_options net;
    /* The folder of the exchange with an owner elsewhere; NULL: the owner is here. */
    const char *owner_dir;
    const char *owner_root; /* whom the owner trusts; NULL: this platform's manufacturer */
    u8 secret_guid[16];     /* with firmware: the secret's entry in OVMF's table */
    char default_name[16];
    u64 memory; /* bytes */
    u32 cpus;
    enum image_mode mode;
    bool kernel_hashes, virtio_console, virtio_rng, testdev, strict, tamper;
    u64 policy;     /* as the user gave it; SEV's has 32 bits */
    u64 snp_policy; /* [snp 5.1] */
    u64 sev_features;
    u32 tsc_khz; /* frequency of a secure TSC; 0: the host's */
};

struct snapshot; /* cli/run/snapshot.h */
struct json_t;   /* jansson's */

struct run_options {
    struct run_vm_options *vms;
    u32 vm_count;
    struct json_t *machine; /* the machine file; it owns the texts of its VMs */
    const char *state, *seed, *trace_file, *dump, *map, *record, *replay;
    const char *cpu_text;
    const char *view;     /* where the page is served; NULL: nowhere */
    bool view_keep;       /* ... also after the guests have ended */
    const char *incoming; /* where a guest comes from another run, "unix:" and a path; NULL: no */
    const char *control;  /* the control socket, "unix:" and a path; NULL: none */
    const char *gdb;      /* where a debugger may connect; NULL: nowhere */
    bool gdb_wait;        /* ... before the guests begin */
    bool daemonize;       /* leave the terminal when the guests are launched */
    const char *pid_file; /* NULL: none */
    const char *snapshot; /* NULL: none is taken */
    u64 snapshot_at;      /* machine time in ns; 0: only when it is asked for */
    bool gdb_reverse;     /* ... and it may go back in time */
    struct cpu_model cpu; /* if cpu_text */
    u32 trace;            /* categories */
    bool trace_hash;      /* all categories, into a hash */
    bool json, quiet, time_given, limit_given;
    s64 time_seconds; /* the clock of day at the start, since 1970 */
    u64 limit_ns;     /* of machine time, if limit_given */
    bool no_reboot;   /* a guest that resets its machine ends */
    enum run_clock clock;
    enum cpu_engine engine;
    u64 owner_wait_seconds;
};

/* Turns options that were checked together into what is to be run. The texts stay those of
 * `given`. */
int run_parse(const struct options *given, struct run_options *o, struct error *e);
void run_free_options(struct run_options *o);

/* Check what the VMs of a machine share, and a VM's name (run_clashes.c). */
int run_check_clashes(const struct run_options *o, struct error *e);
int run_check_name(const char *name, struct error *e);

/* --- Files (run_files.c) ---------------------------------------------------------------------- */

/* Open the file of --dump before the run, and write all of DRAM to it afterwards: raw, in a regular
 * file with holes where nothing was ever written. */
int run_dump_open(struct run *r, struct error *e);
int run_dump_memory(struct run *r, struct error *e);
/* The same for the file of --map, which gets the map of all frames (run_map.c). */
int run_map_open(struct run *r, struct error *e);
int run_map_write(struct run *r, struct error *e);

/* --- Disks (run_disk.c) ----------------------------------------------------------------------- */

/* Read and write all bytes at an offset, or return false. */
bool run_read_at(int fd, u64 offset, void *out, size_t size);
bool run_write_at(int fd, u64 offset, const void *data, size_t size);

/* --- Firmware's variables (run_flash.c) ------------------------------------------------------- */

struct run_vm;
/* Reads the file of --firmware-vars, if it is given. */
int run_flash_open(struct run_vm *v, struct error *e);
struct vm_flash run_flash_of(struct run_vm *v); /* for the VM's configuration */
/* Writes the file if the guest has changed it and has left it alone for a second. A file that
 * cannot be written is an error at the end. */
void run_flash_look(struct run_vm *v);
int run_flash_close(struct run_vm *v, struct error *e); /* writes what is not written yet */

/* --- cloud-init's seed disk (run_cloud_init.c) ------------------------------------------------ */

struct run_vm;
/* Reads the files of --cloud-init, if it is given. */
int run_seed_open(struct run_vm *v, struct error *e);
void run_seed_add(struct run_vm *v, struct vm_config *config); /* after the other disks */
void run_seed_close(struct run_vm *v);

/* --- What is running -------------------------------------------------------------------------- */

struct authority;
struct cli_platform; /* cli/identity/platform.h */
struct run_control;
struct run_gdb;
struct run_migration;
struct run_flash;
struct run_seed;
struct run_serial;
struct run_snp;

struct run_vm {
    struct run *run;
    const struct run_vm_options *options;
    struct cli_file kernel, initrd, firmware, secret;
    struct image_plan *plan;
    struct vm *vm;
    struct run_disk_file disks[VM_DISKS_MAX];
    struct run_flash *flash;   /* NULL: none */
    struct run_seed *seed;     /* NULL: none */
    struct run_serial *serial; /* NULL: the UART is on standard output */
    struct net *net;           /* NULL: there is none, or its frames come from a recording */
    u8 measure[48];
    u8 *tampered;   /* the kernel as a malicious host has changed it */
    bool line_open; /* its last console line has no end yet */
    bool views_shown;
    struct run_panic panic;
    u32 reboots;
    /* SNP: the exchange with the agent that asks for the secret; NULL: none. */
    struct run_secret *exchange;
    u64 console_bytes;
};

#define INPUT_LINE_MAX 256u /* bytes of console input in one line of a recording */
_Static_assert(INPUT_LINE_MAX <= NET_FRAME_MAX, "a line of input fits where a frame does");

enum run_input_kind { INPUT_CONSOLE, INPUT_FRAME, INPUT_POWER_BUTTON, INPUT_RESET };

/* Input of a recording: given when the machine's clock has come to `ns`. */
struct run_input {
    u64 ns;
    u32 vm;
    enum run_input_kind kind;
    u8 bytes[NET_FRAME_MAX];
    size_t count;
};

enum run_phase { PHASE_FILES, PHASE_PLATFORM, PHASE_LAUNCH, PHASE_GUEST, RUN_PHASES };

struct run {
    struct run_options options;
    struct options given;         /* what the options were made of */
    struct snapshot *resumed;     /* the run goes on from it; NULL: it begins */
    bool resumed_whole;           /* ... and its state is loaded */
    struct crypto *crypto;        /* the platform's randomness */
    struct crypto *owner_crypto;  /* the guest owner's */
    struct crypto *device_crypto; /* that of the guests' entropy sources */
    struct random_source device_random;
    struct cli_platform *identity; /* NULL without encrypted guests */
    struct run_snp *snp;           /* certificates of the chip's VCEK; NULL without SNP guests */
    struct cpu_model cpu;          /* signature 0 until the platform is known */
    struct machine *machine;
    struct hypervisor *hv;
    struct run_vm *vms; /* as many as options.vm_count */
    u32 vm_count;
    u32 keyboard; /* which VM gets the input */
    bool quit;    /* the user left with Ctrl-A x or by --control, or a signal came */
    bool paused;  /* by --control: machine time stands still */
    bool snapshot_asked, snapshot_done; /* by a key; at its time */
    struct error snapshot_error;        /* of the first one that could not be taken */
    struct run_terminal *terminal;
    struct net_polls polls; /* what networks and serial ports wait for */
    u32 net_count, serial_count;
    struct run_control *control;     /* NULL: there is no control socket */
    struct run_migration *migration; /* the last one to another run; NULL: there was none */
    struct live_view *view;          /* NULL: nobody looks */
    struct run_gdb *gdb;             /* NULL: nobody may debug */
    u64 wall_start_ns;               /* of the host's clock, at machine time 0 */
    u64 looked_ns;                   /* of the host's clock, at the keyboard */
    u64 seen_ns;                     /* ... and at what the guests wrote */
    u64 phase_ns[RUN_PHASES];        /* of the host's clock */
    FILE *record, *replay;           /* of console input; NULL: none */
    u64 replay_line;                 /* so many lines of it were read */
    int daemon_fd;                   /* whoever waits for the launch reads it; -1: nobody */
    int pid_fd;                      /* of --pid-file; -1: none */
    FILE *dump, *map;                /* where DRAM, and its map, go at the end; NULL: nowhere */
    struct run_input input;
    struct run_trace tracing;
};

/* All of `softsev run`; `resumed` NULL: it begins anew. Returns the exit code. */
int run_main(int argc, char **argv, struct snapshot *resumed);

/* Describes what a VM is made of, as hypervisor and owner both know it. */
struct image_description run_describe(const struct run_vm *v);

/* --- The processor (run_cpu.c) --------------------------------------------------------------- */

/* Checks that a chosen model has what the guests' modes need. Returns 0, or -1 and ERROR_USAGE. */
int run_check_cpu(const struct run_options *o, struct error *e);
/* Removes from an answer of CPUID the features that a struct cpu_model hides, so that the
 * hypervisor does not show them either. For struct vm_config. */
void run_hide_features(void *model, u32 leaf, u32 subleaf, u32 out[4]);

/* --- Messages (run_report.c) ------------------------------------------------------------------ */

/* Prints one step and who does it: "owner       chain verified ...", or a JSON line. */
void run_step(struct run *r, const char *who, const char *format, ...) PRINTF_LIKE(3, 4);
void run_console_output(void *run_vm, const u8 *data, size_t size);
void run_summary(struct run *r);
/* Returns true if the kernel panicked and the VM did not end in order after that. */
bool run_panicked(const struct run_vm *v, enum vm_state state);
/* "panicked", "powered off", ...; of a VM that still runs: "stopped while running". */
const char *run_ending_name(const struct run_vm *v, enum vm_state state);
/* Prints a private and a shared page as the host sees them, once for each VM. Unless `now`, waits
 * until the shared one holds text. */
void run_show_views(struct run *r, struct run_vm *v, bool now);

/* --- The terminal (terminal.c) ---------------------------------------------------------------- */

/* Gives the guests what was typed. Call it between two slices. */
void run_terminal_give(struct run_terminal *t, struct run *r);
/* Opens recordings of console input and frames (--record, --replay). While one is replayed, neither
 * the keyboard nor a network is read. */
int run_input_open(struct run *r, struct error *e);
/* Closes both recordings. Returns -1 if something could not be written. */
int run_input_close(struct run *r, struct error *e);
int run_input_replay(struct run *r, struct error *e);
/* Gives console input to a guest and records it. Returns how many bytes the guest had room for. */
size_t run_input_console(struct run *r, u32 vm, const u8 *bytes, size_t count);
/* Gives a frame to a guest and records it. Returns false if the guest has no room. */
bool run_input_frame(struct run *r, u32 vm, const u8 *frame, size_t size);
/* Presses a guest's power button or reset, and notes it in the recording. */
void run_input_button(struct run *r, u32 vm, enum run_input_kind which);

/* --- A debugger: GDB's remote protocol (gdb.c) ------------------------------------------------ */

/* All of these do nothing without --gdb. */
int run_gdb_open(struct run *r, struct error *e);    /* opens the address */
int run_gdb_machine(struct run *r, struct error *e); /* call it when the machine exists */
/* Listens for GDB, because the guests are launched now. Waits for it with --gdb-wait. */
int run_gdb_start(struct run *r, struct error *e);
/* Looks at the socket. `idle`: no guest has run since the last time, so none can be stopped. */
void run_gdb_look(struct run *r, bool idle);
void run_gdb_slice(struct run *r); /* keeps what going back needs; call it between two slices */
void run_gdb_rebooted(struct run *r);
void run_gdb_close(struct run *r, int status); /* tells GDB how the run ended */

/* --- Serial ports that are elsewhere (run_serial.c) ------------------------------------------- */

/* Opens what --serial names. Does nothing for standard output. */
int run_serial_open(struct run_vm *v, struct error *e);
int run_serial_close(struct run_vm *v, struct error *e); /* -1: a file is not complete */
void run_uart_output(void *run_vm, const u8 *data, size_t size);
bool run_serial_has_input(const struct run *r); /* input that no guest has got yet */
/* Before a wait: adds the descriptors that serial ports wait for. After it: reads and writes what
 * they allow. Neither changes a guest. */
void run_serial_prepare(struct run *r);
void run_serial_serve(struct run *r);
/* Gives the guests the input that has come. Call it between two slices. */
void run_serial_give(struct run *r);

/* --- In the background (run_daemon.c) --------------------------------------------------------- */

/* With --daemonize: goes on in a child; the parent waits until the guests are launched, or ends as
 * the child does. */
int run_daemon_start(struct run *r, struct error *e);
/* The guests are launched: writes the number of the process, leaves the terminal, and lets the
 * parent end. */
int run_daemon_launched(struct run *r, struct error *e);
int run_pid_open(struct run *r, struct error *e); /* does nothing without --pid-file */
void run_pid_close(struct run *r);                /* removes the file */

/* --- The control socket (run_control.c) ------------------------------------------------------- */

/* All do nothing without --control. */
int run_control_open(struct run *r, struct error *e);
void run_control_close(struct run *r);
/* Around a wait, as those of serial ports. Change no guest. */
void run_control_prepare(struct run *r);
void run_control_serve(struct run *r);
/* Carries out and answers what has been asked for, between two slices. */
void run_control_give(struct run *r);

/* --- Migration (run_migrate.c) ---------------------------------------------------------------- */

/* Waits for the guest of --incoming and takes it. Does nothing without that option. */
int run_incoming(struct run *r, struct error *e);
/* Begins to send a guest to the run that waits at unix:PATH. */
bool run_migrate_start(struct run *r, struct run_vm *v, const char *to, char wrong[400]);
void run_migrate_step(struct run *r); /* sends some of it; call it between two slices */
bool run_migrate_is_on(const struct run *r);
void run_migrate_close(struct run *r);
enum run_migrate_answer { MIGRATE_GOES_ON, MIGRATE_DONE, MIGRATE_FAILED };
/* How the last migration is, as members of an answer. */
enum run_migrate_answer run_migrate_tell(const struct run *r, struct json_t *answer,
                                         char wrong[400]);

/* --- The guests' networks (run_net.c) --------------------------------------------------------- */

/* Opens the network that was asked for, if any. Does nothing while a recording is replayed. */
int run_net_open(struct run_vm *v, struct error *e);
void run_net_close(struct run *r);
struct vm_net run_net_card(struct run_vm *v); /* for the VM's configuration */
bool run_net_is_live(const struct run *r);    /* frames may come from outside */
/* Around a wait: adds to r->polls what it waits for, and says for how long; then what came of it.
 * Change no guest. */
void run_net_prepare(struct run *r, u64 *wait_ns);
void run_net_serve(struct run *r);
/* Gives the guests the frames that have come, between two slices. */
void run_net_give(struct run *r);
/* --- Time (run_clock.c) ----------------------------------------------------------------------- */

void run_clock_start(struct run *r);
/* After a pause: machine time goes on from where it stood. */
void run_clock_resume(struct run *r);
/* Runs the guests for a while, and sleeps if machine time goes by the wall and all of them idle.
 * False: all of them have ended. */
bool run_slice(struct run *r, u64 limit_ns);

/* --- The launch of encrypted guests, with the owner on the other end (run_launch.c) ----------- */

/* Gets the platform's identity: fuses and store for the machine that will be made. */
int run_identity(struct run *r, struct machine_config *config, struct error *e);
void run_close_identity(struct run *r);
int run_platform(struct run *r, struct error *e);
/* Exports the platform's certificates: the firmware's export, with the CEK signed by the
 * manufacturer. */
struct sev_platform_chain;
int run_export_chain(struct run *r, struct sev_platform_chain *out, struct error *e);
int run_launch(struct run_vm *v, struct error *e);
/* Adds the rule by which the firmware refused to the error. Returns -1. */
int run_with_rule(const struct run *r, struct error *e);

/* --- The same for SNP guests (run_snp.c) ------------------------------------------------------ */

/* Runs SNP_INIT_EX and makes the certificates of this chip's VCEK. */
int run_snp_platform(struct run *r, const struct authority *a, const struct firmware_profile *p,
                     const u8 fuses[32], struct error *e);
/* Collects the certificates of the chip and its manufacturer, and the root that this owner
 * trusts. */
struct report_certificates;
int run_snp_trust(const struct run_vm *v, struct report_certificates *to, struct error *e);
/* Returns what the owner demands of its guest's report. `digest` is the launch digest that the
 * owner has computed from the files. */
struct report_policy;
struct report_policy run_snp_demands(const struct run_vm *v, const u8 digest[48]);
int run_snp_expect(const struct run_vm *v, u8 digest[48], struct error *e);

/* --- The owner's secret for an agent in an SNP guest (run_secret.c) --------------------------- */

/* Makes the VM's virtio console the agent's channel. Call it before the VM is made. Does nothing
 * without a secret or without SNP. */
int run_secret_open(struct run_vm *v, struct vm_config *config, struct error *e);
/* Gives the guest as much as it takes of what waits for it. Call it between two slices. Returns -1
 * if an owner elsewhere does not answer. */
int run_secret_pump(struct run_vm *v, struct error *e);
/* Returns true if the guest waits for an owner elsewhere: its time should then pass no faster than
 * the owner's. */
bool run_secret_waits(const struct run_vm *v);
/* Ends the exchange. Returns -1 and an error if the owner refused, or if no agent asked. */
int run_secret_close(struct run_vm *v, struct error *e);

/* Returns the certificate table that comes with a guest's extended reports, or NULL. */
const void *run_snp_table(const struct run *r, size_t *size);
int run_snp_launch(struct run_vm *v, struct error *e);

/* --- An owner elsewhere, by files in --owner-dir (remote.c) ----------------------------------- */

struct owner;
struct sev_platform_chain;

/* Writes the certificates, and waits for the owner's key and session. */
int run_remote_session(struct run_vm *v, const struct sev_platform_chain *chain,
                       const struct platform_status *s, struct owner *out, struct error *e);
/* Writes the measurement, waits for the secret, and carries it to the firmware. */
int run_remote_secret(struct run_vm *v, struct error *e);
/* SNP: begins an exchange after an agent has asked, and writes the agent's evidence. */
int run_remote_begin(const struct run_vm *v, struct error *e);
int run_remote_evidence(const struct run_vm *v, const u8 *frame, size_t size, struct error *e);
/* Reads a frame of the exchange (guest/secret_exchange.h) from the folder. `*size` is 0 if it is
 * not there yet. Returns -1 if it is not there at `until_ns` of run_clock_ns(). `frame` has room
 * for SECRET_FRAME_MAX bytes. */
int run_remote_frame(const struct run_vm *v, const char *name, u64 until_ns, u8 *frame,
                     size_t *size, struct error *e);

#endif
