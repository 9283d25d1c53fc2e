/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner from the outside: the steps of a launch as separate programs that exchange files,
 * and what each of them refuses, with the exit codes that are documented.
 */
#include "owner_rig.h"

#include "base/encoding.h"
#include "needs.h"
#include "small_elf.h"

#include "abi/report.h"
#include "image/image.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What the firmware would say: base64 of MEASURE and MNONCE for "abc"
 * launched under the session in `s`. */
static void measure(char text[65], struct session_keys *keys, struct sev_measure *out)
{
    char base64[4000] = {0};
    struct sev_cert godh;
    struct sev_session session;
    struct error e = {.code = ERROR_NONE};
    read_file("s/godh.b64", base64, sizeof base64 - 1);
    assert_int_equal(owner_decode_base64("godh", base64, &godh, sizeof godh, &e), 0);
    memset(base64, 0, sizeof base64);
    read_file("s/session.b64", base64, sizeof base64 - 1);
    assert_int_equal(owner_decode_base64("session", base64, &session, sizeof session, &e), 0);
    assert_int_equal(session_open(&pdh, &godh, &session, 1, keys), SESSION_OK);
    struct measurement m = {
        .api_major = 1, .api_minor = 55, .build = 25, .policy = 1, .mnonce = {7}};
    crypto_sha256("abc", 3, m.digest);
    measurement_compute(&m, keys->tik, out->measure);
    memcpy(out->mnonce, m.mnonce, sizeof out->mnonce);
    text_encode_base64(text, out, sizeof *out);
}

#define PLATFORM "--api 1.55 --build 25 "

static void the_steps_of_a_launch(void **state)
{
    (void)state;
    char text[65], line[300], base64[200] = {0};
    struct session_keys keys;
    struct sev_measure got;
    assert_int_equal(owner("verify --chain chain --root root"), 0);
    assert_non_null(strstr(said, "CEK  signed by ASK: verifies"));
    assert_int_equal(owner("session --chain chain --root root --policy 1 --replace --out-dir s"),
                     0);
    measure(text, &keys, &got);

    snprintf(line, sizeof line, "secret --state s/owner.state --secret passphrase --out-dir s");
    assert_int_equal(owner(line), ERROR_MEASUREMENT);
    assert_string_equal(last_error, "no launch has been verified yet: no secret is sealed");
    snprintf(line, sizeof line,
             "measure --state s/owner.state " PLATFORM "--launch launched --measurement %s", text);
    assert_int_equal(owner(line), 0);
    assert_string_equal(said, "the measurement matches\n");
    assert_int_equal(
        owner("secret --state s/owner.state --secret passphrase --form raw --out-dir s"), 0);

    struct sev_packet_header header;
    u8 data[16], plain[16];
    struct error e = {.code = ERROR_NONE};
    read_file("s/secret-header.b64", base64, sizeof base64 - 1);
    assert_int_equal(owner_decode_base64("header", base64, &header, sizeof header, &e), 0);
    memset(base64, 0, sizeof base64);
    read_file("s/secret-payload.b64", base64, sizeof base64 - 1);
    assert_int_equal(owner_decode_base64("payload", base64, data, sizeof data, &e), 0);
    struct packet_binding b = {PACKET_SECRET, 16, 16, got.measure};
    assert_true(packet_open(&keys, &b, &header, data, plain, 16));
    assert_memory_equal(plain, "open sesame\0\0\0\0\0", 16);
}

static void a_refused_measurement_takes_the_agreement_back(void **state)
{
    (void)state;
    char text[65], line[300];
    struct session_keys keys;
    struct sev_measure got;
    assert_int_equal(owner("session --chain chain --root root --replace --out-dir s"), 0);
    measure(text, &keys, &got);
    snprintf(line, sizeof line,
             "measure --json --state s/owner.state " PLATFORM "--launch launched --measurement %s",
             text);
    assert_int_equal(owner(line), 0);
    assert_string_equal(said, "{\"matches\":true}\n");
    snprintf(line, sizeof line,
             "measure --state s/owner.state " PLATFORM "--launch passphrase --measurement %s",
             text);
    assert_int_equal(owner(line), ERROR_MEASUREMENT);
    assert_non_null(strstr(last_error, "measurement does not match: the platform says "));
    snprintf(line, sizeof line,
             "measure --json --state s/owner.state " PLATFORM
             "--launch passphrase --measurement %s",
             text);
    assert_int_equal(owner(line), ERROR_MEASUREMENT);
    assert_ptr_equal(strstr(said, "{\"matches\":false,\"why\":\"measurement does not match: "),
                     said);
    assert_int_equal(owner("secret --state s/owner.state --secret passphrase --out-dir s"),
                     ERROR_MEASUREMENT);
}

static void what_the_owner_expects(void **state)
{
    (void)state;
    char text[65], want[66], line[300];
    struct session_keys keys;
    struct sev_measure got;
    assert_int_equal(owner("session --chain chain --root root --replace --out-dir s"), 0);
    measure(text, &keys, &got);
    snprintf(want, sizeof want, "%s\n", text);
    assert_int_equal(owner("measure --state s/owner.state " PLATFORM
                           "--launch launched --nonce BwAAAAAAAAAAAAAAAAAAAA=="),
                     0);
    assert_string_equal(said, want);
    snprintf(line, sizeof line,
             "measure --tk s/tk.bin --policy 1 " PLATFORM
             "--digest ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "
             "--nonce BwAAAAAAAAAAAAAAAAAAAA==");
    assert_int_equal(owner(line), 0);
    assert_string_equal(said, want);
}

#define SHOULD_BE                                                                                  \
    "platform.json: should be {\"api\": \"1.55\", \"build\": 25}, as `softsev run --owner-dir` "   \
    "writes it, or what `softsev platform status --json` prints"

/* API version and build as softsev run writes them for an owner elsewhere. */
static void a_platform_says_its_version_in_a_file(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error; /* NULL: as good as --api and --build */
    } cases[] = {
        {"{\"api\":\"1.55\",\"build\":25,\"policy\":1}\n", NULL},
        {"{\"api_major\":1,\"api_minor\":55,\"build\":25,\"state\":\"INIT\"}", NULL},
        {"{\"api_major\":1,\"api_minor\":-1,\"build\":25}", SHOULD_BE},
        {"{\"api\":\"1.55\",\"build\":256}", SHOULD_BE},
        {"{\"api\":\"1.55\"}", SHOULD_BE},
        {"{\"api\":1.55,\"build\":25}", SHOULD_BE},
        {"[]", SHOULD_BE},
        {"{\"api\":\"1\",\"build\":25}",
         "platform.json: api '1': expected two numbers and a point between them, such as 1.55"},
        {"{", "platform.json:1: string or '}' expected near end of file"},
    };
    char text[65], want[66];
    struct session_keys keys;
    struct sev_measure got;
    assert_int_equal(owner("session --chain chain --root root --replace --out-dir s"), 0);
    measure(text, &keys, &got);
    snprintf(want, sizeof want, "%s\n", text);
#define NONCE "--state s/owner.state --launch launched --nonce BwAAAAAAAAAAAAAAAAAAAA== "
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        write_file("platform.json", cases[i].json, strlen(cases[i].json));
        int code = owner("measure --platform platform.json " NONCE);
        if (cases[i].error)
            assert_string_equal(last_error, cases[i].error);
        else
            assert_string_equal(said, want);
        assert_int_equal(code, cases[i].error ? ERROR_FILE : ERROR_NONE);
    }
    assert_int_equal(owner("measure --platform nothing " NONCE), ERROR_FILE);
    assert_string_equal(last_error, "nothing: No such file or directory");
    assert_int_equal(owner("measure --platform platform.json --build 25 " NONCE), ERROR_USAGE);
    assert_string_equal(last_error, "--platform cannot be given with --build");
}

static void secrets_are_for_their_owner_alone(void **state)
{
    (void)state;
    static const char *const secret[] = {"s/tk.bin", "s/owner.state"};
    struct stat s;
    assert_int_equal(owner("session --chain chain --root root --replace --out-dir s"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
        assert_int_equal(stat(secret[i], &s), 0);
        assert_int_equal(s.st_mode & 0777, 0600);
    }
}

static void a_seed_repeats_a_session(void **state)
{
    (void)state;
    u8 first[OWNER_SAVE_SIZE], second[OWNER_SAVE_SIZE];
    assert_int_equal(owner("session --chain chain --root root --seed one --replace --out-dir s"),
                     0);
    read_file("s/owner.state", first, sizeof first);
    assert_int_equal(owner("session --chain chain --root root --seed=one --replace --out-dir s"),
                     0);
    read_file("s/owner.state", second, sizeof second);
    assert_memory_equal(first, second, sizeof first);
}

#define DIGEST                                                                                     \
    "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc605" \
    "9745 "
#define ANSWER "answer --state root --evidence chain --secret passphrase --root root --out-dir t "

static void refusals_have_their_exit_codes(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum error_code code;
        const char *text;
    } cases[] = {
        {"verify --chain other-chain --root root", ERROR_MEASUREMENT,
         "OCA certificate, signed by itself: signature does not verify"},
        {"session --chain other-chain --root root --out-dir t", ERROR_MEASUREMENT,
         "OCA certificate, signed by itself: signature does not verify"},
        {"verify --chain root --root root", ERROR_FILE,
         "root: this is AMD's SEV root (ASK, ARK), not a chain (PDH, PEK, OCA, CEK)"},
        {"verify --chain chain --root chain", ERROR_FILE,
         "chain: this is a SEV chain (PDH, PEK, OCA, CEK), not AMD's SEV root (ASK, ARK)"},
        {"verify --chain chain --root nothing", ERROR_FILE, "nothing: No such file or directory"},
        {"verify --chain chain", ERROR_USAGE, "verify needs --root"},
        {"verify --chain chain --chain chain", ERROR_USAGE, "--chain is given twice"},
        {"verify --chain", ERROR_USAGE, "--chain needs a value: FILE"},
        {"verify --json=yes", ERROR_USAGE, "--json takes no value"},
        {"verify --svn 1", ERROR_USAGE,
         "verify takes no option '--svn'; did you mean --min-svn? `softsev owner verify --help` "
         "lists them"},
        {"verify chain", ERROR_USAGE, "'chain' is one argument too many"},
        {"guess", ERROR_USAGE, "there is no action 'guess'; `softsev owner --help` lists them"},
        {"session --chain chain --root root --policy x --out-dir t", ERROR_USAGE,
         "--policy 'x': expected a number of at most 18446744073709551615"},
        {"session --chain chain --root root --policy 0x40 --out-dir t", ERROR_USAGE,
         "--policy 0x40: bits 15:6 must be zero, as in 0x0"},
        {"session --chain chain --root root --policy 0x30000 --out-dir t", ERROR_USAGE,
         "--policy 0x30000: asks for firmware of API 3.0 or later, which there is not; the policy "
         "of an SNP guest (0x30000) is another"},
        {"measure " PLATFORM "--tk s/tk.bin --policy 1 --nonce BwAAAAAAAAAAAAAAAAAAAA== --mode "
         "sev-es --kernel k",
         ERROR_USAGE, "--policy 0x1: bit 2 (ES) must be one under sev-es, as in 0x5"},
        {"measure --mode snp --firmware f --vcpu-type EPYC --guest-features 0x20001", ERROR_USAGE,
         "--guest-features '0x20001': bits 17 to 20 and those from 22 on are reserved"},
        {"measure --mode snp --firmware f --vcpu-type EPYC --guest-features 2", ERROR_USAGE,
         "--guest-features '2': an SNP guest has snp (bit 0)"},
        {"measure --mode sev-es --firmware f --vcpu-type EPYC --guest-features 1", ERROR_USAGE,
         "--guest-features '1': snp (bit 0) is for --mode sev-snp"},
        {"session --chain chain, --root root --out-dir t", ERROR_USAGE,
         "--chain 'chain,': expected a file, or two separated by a comma: the PDH and the rest"},
        {"session --chain chain --root root --policy 0x100000000 --out-dir t", ERROR_USAGE,
         "--policy '0x100000000': the policy of such a guest has 32 bits"},
        {"measure " PLATFORM "--state s/owner.state --launch launched", ERROR_USAGE,
         "measure needs --measurement or --nonce: or give --mode, to print the launch digest of "
         "files"},
        {"measure " PLATFORM "--launch launched --nonce BwAAAAAAAAAAAAAAAAAAAA==", ERROR_USAGE,
         "--nonce needs --state or --tk"},
        {"measure " PLATFORM "--state chain --launch launched --nonce BwAAAAAAAAAAAAAAAAAAAA==",
         ERROR_FILE, "chain: not an owner's state"},
        {"measure " PLATFORM
         "--state s/owner.state --launch launched --nonce BwAAAAAAAAAAAAAAAAAAAAA=",
         ERROR_USAGE, "--nonce should be 16 bytes as base64"},
        {"measure " PLATFORM
         "--state s/owner.state --policy 3 --launch launched --nonce BwAAAAAAAAAAAAAAAAAAAA==",
         ERROR_USAGE, "--policy 0x3: the session in s/owner.state has policy 0x1"},
        {"measure " PLATFORM "--state s/owner.state --nonce BwAAAAAAAAAAAAAAAAAAAA==", ERROR_USAGE,
         "measure needs --digest, --launch, --kernel or --firmware: they say what was launched"},
        {"measure --api 1 --build 25 --state s/owner.state --launch launched --nonce x",
         ERROR_USAGE, "--api '1': expected two numbers and a point between them, such as 1.55"},
        {"secret --state s/owner.state --secret passphrase --guid 7 --out-dir t", ERROR_USAGE,
         "--guid '7': expected a GUID such as 736869e5-84f0-4973-92ec-06879ce3da0b"},
        {"explain", ERROR_USAGE, "explain needs --kernel or --firmware"},
        {"hello", ERROR_USAGE, "hello needs --out-dir"},
        {ANSWER "--report-data 12", ERROR_USAGE,
         "answer takes no option '--report-data'; `softsev owner answer --help` lists them"},
        {ANSWER "--id-auth root", ERROR_USAGE, "--id-auth needs --id-block"},
        {ANSWER, ERROR_USAGE,
         "answer needs --digest, --kernel, --firmware or --id-block: they say which guest may "
         "have the secret"},
        {ANSWER "--digest " DIGEST, ERROR_FILE, "root: not a state file of `softsev owner hello`"},
    };
    assert_int_equal(owner("session --chain chain --root root --replace --out-dir s"), 0);
    write_file("f", "an image that is not looked at", 30);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(owner(cases[i].words), cases[i].code);
        assert_string_equal(last_error, cases[i].text);
        assert_string_equal(said, "");
    }
    assert_int_equal(owner("verify --json --chain other-chain --root root"), ERROR_MEASUREMENT);
    assert_string_equal(
        said, "{\"verified\":false,\"check\":\"OCA certificate, signed by itself\",\"why\":"
              "\"signature does not verify\"}\n");
    struct stat s;
    assert_int_equal(stat("t", &s), -1); /* a refused platform leaves nothing */
}

#define ES "--mode sev-es --vcpu-type EPYC-Milan --firmware "

static void explained_launches_can_be_compared(void **state)
{
    (void)state;
    u8 image[8192] = {[8191] = 1}; /* something at the reset vector */
    char want[80];
    write_file("image", image, sizeof image);
    image[5000] = 1;
    write_file("other-image", image, sizeof image);
    assert_int_equal(owner("measure " ES "image"), 0);
    snprintf(want, sizeof want, "digest  %.65s", said);
    assert_int_equal(owner("explain " ES "image"), 0);
    assert_non_null(strstr(said, want));
    assert_non_null(strstr(said, "0x0ffffe000        8192 bytes  DATA        flash  contents "));
    write_file("explained", said, strlen(said));

    assert_int_equal(owner("explain " ES "image --diff explained"), 0);
    assert_string_equal(said, "the launches are the same\n");
    assert_int_equal(owner("explain " ES "other-image --diff explained"), ERROR_MEASUREMENT);
    assert_string_equal(last_error, "the launches differ in 1 contribution");
    assert_ptr_equal(strstr(said, "- 0x0ffffe000"), said);
    assert_int_equal(owner("explain " ES "image --diff explained --vmm-type qemu-old"),
                     ERROR_MEASUREMENT);
    assert_non_null(strstr(said, "VMSA"));
    assert_null(strstr(said, "flash"));
    assert_int_equal(owner("explain " ES "image --diff image"), ERROR_FILE);

    /* JSON in and out. */
    assert_int_equal(owner("explain " ES "image --json"), 0);
    write_file("explained.json", said, strlen(said));
    assert_int_equal(owner("explain " ES "image --diff explained.json"), 0);
    assert_string_equal(said, "the launches are the same\n");
    assert_int_equal(owner("explain " ES "image --json --diff explained.json"), 0);
    assert_string_equal(said, "{\"same\":true,\"removed\":[],\"added\":[]}\n");
    assert_int_equal(owner("explain " ES "other-image --json --diff explained.json"),
                     ERROR_MEASUREMENT);
    assert_ptr_equal(strstr(said, "{\"same\":false,\"removed\":[\"0x0ffffe000        8192 bytes  "
                                  "DATA        flash  contents "),
                     said);
    assert_non_null(strstr(said, "\"],\"added\":[\"0x0ffffe000"));
    static const char *const wrong[] = {"{", "{}", "{\"digest\":\"12\",\"pieces\":[3]}",
                                        "{\"digest\":1,\"pieces\":[]}",
                                        "{\"digest\":\"12\",\"pieces\":[{\"name\":\"x\"}]}"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        write_file("wrong.json", wrong[i], strlen(wrong[i]));
        assert_int_equal(owner("explain " ES "image --diff wrong.json"), ERROR_FILE);
        assert_string_equal(last_error, "wrong.json: not what `softsev owner explain` prints");
    }
}

static void launches_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words, *text;
    } cases[] = {
        {"measure --mode tdx --firmware image", "--mode 'tdx': expected sev, sev-es or sev-snp"},
        {"measure --mode sev --vcpus 2 --firmware image",
         "--vcpus beside --firmware needs --mode sev-es or sev-snp: SEV measures no virtual "
         "processors"},
        {"measure --mode sev-es --firmware image",
         "--mode sev-es needs --vcpu-type, such as EPYC-Milan: QEMU puts its signature into RDX"},
        {"measure " ES "image --vmm-type xen",
         "--vmm-type 'xen': expected qemu, qemu-old, ec2, ec2-old, gce, krun or krun-old"},
        {"measure --mode snp --kernel image --vcpu-type EPYC", "--vcpu-type needs --firmware"},
        {"measure --mode snp --vcpu-type 1 --firmware image --memory 1G",
         "--memory cannot be given with --firmware"},
        {"measure --mode snp --vcpu-type 1 --firmware image --ovmf-hash 12",
         "--ovmf-hash '12': expected 96 hexadecimal digits"},
        {"measure --mode sev-es --firmware image --ovmf-only",
         "--ovmf-only needs --mode sev-snp: only SNP has a digest after the image"},
    };
    u8 image[4096] = {0};
    write_file("image", image, sizeof image);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(owner(cases[i].words), ERROR_USAGE);
        assert_string_equal(last_error, cases[i].text);
    }
}

/* The paths of the vectors are too long for owner()'s line: links to them stand in the current
 * folder. */
static void link_vector(const char *name, const char *as)
{
    assert_int_equal(symlink(vector_path(name), as), 0);
}

/* report, certs, ark: a genuine report with its chain. */
static void genuine_files(void)
{
    if (mkdir("certs", 0755))
        return;
    link_vector("sev/certs_data/report_milan.hex", "report");
    link_vector("sev/certs_data/vcek_milan.der", "certs/vcek.der");
    link_vector("sev/snp/milan/ask.pem", "certs/ask.pem");
    link_vector("sev/snp/milan/ark.pem", "ark");
}

#define GENUINE                                                                                    \
    .vectors = {"sev/certs_data/report_milan.hex", "sev/certs_data/vcek_milan.der",                \
                "sev/certs_data/cert_chain_milan", "sev/snp/milan/ask.pem",                        \
                "sev/snp/milan/ark.pem"}

#define REPORT "verify --time 1700000000 --report report --certs certs --root ark "
#define ZEROS  "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES   "1111111111111111111111111111111111111111111111111111111111111111"

test_that_needs(genuine_reports_verify_and_refusals_name_the_check, GENUINE)
{
    (void)state;
    static const struct {
        const char *words;
        int code;
        const char *error;
    } cases[] = {
        {REPORT "--min-tcb 3.0.9.0", ERROR_MEASUREMENT,
         "minimum-tcb: the platform's TCB 3.0.8.115 is below the minimum 3.0.9.0"},
        {REPORT "--min-tcb 255.3.0.8.115", ERROR_MEASUREMENT,
         "minimum-tcb: the minimum TCB has five numbers, but this part has no FMC: give four "
         "numbers, from the boot loader on"},
        {REPORT "--policy 0x20000", ERROR_MEASUREMENT,
         "guest-policy: the guest's policy is 0x30000, expected is 0x20000"},
        {REPORT "--host-data " ONES, ERROR_MEASUREMENT,
         "host-data: the report has " ZEROS ", expected is " ONES},
        {REPORT "--min-svn 1", ERROR_MEASUREMENT, "guest-svn: the guest's SVN 0 is below 1"},
        {"verify --time 1500000000 --report report --certs certs --root ark", ERROR_MEASUREMENT,
         "certificate-validity: ARK-Milan: its certificate is not valid at this time"},
        {"verify --report report --root ark", ERROR_MEASUREMENT,
         "chain-complete: 0 certificates of a VCEK or VLEK were given; one is needed"},
        {"verify --report certs/vcek.der --certs certs --root ark", ERROR_FILE,
         "certs/vcek.der: this is a certificate or a revocation list in DER, not a report"},
        {"verify --report report --certs report --root ark", ERROR_FILE,
         "report: this is a text of hexadecimal digits, not a certificate in DER or PEM"},
        {REPORT "--min-tcb 1.2.3", ERROR_USAGE,
         "--min-tcb '1.2.3': boot loader, TEE, SNP and microcode, such as 3.0.8.115; FMC before "
         "them for Turin"},
        {REPORT "--host-data 12", ERROR_USAGE, "--host-data '12': expected 64 hexadecimal digits"},
        {"verify --root ark", ERROR_USAGE, "verify needs --chain or --report"},
    };
    genuine_files();
    assert_int_equal(owner(REPORT), 0);
    assert_ptr_equal(strstr(said, "report of version 2: verifies\nmeasurement  7a1e5c266c01"),
                     said);
    assert_int_equal(owner(REPORT "--policy 0x30000 --min-tcb 3.0.8.115 --api 1.52 --json"), 0);
    assert_ptr_equal(strstr(said, "{\"verified\":true,\"version\":2,"), said);
    assert_int_equal(owner(REPORT "--vmpl 3 --api 1.53 --json"), ERROR_MEASUREMENT);
    assert_ptr_equal(strstr(said, "{\"verified\":false,\"check\":\"minimum-api\","), said);
    assert_int_equal(owner(REPORT "--json --host-data " ONES), ERROR_MEASUREMENT);
    assert_string_equal(
        said, "{\"verified\":false,\"check\":\"host-data\",\"why\":\"the report has " ZEROS
              ", expected is " ONES "\"}\n");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(owner(cases[i].words), cases[i].code);
        assert_string_equal(last_error, cases[i].error);
    }
}

/* --- A key server ----------------------------------------------------------------------------- */

/* Answers one connection after another: a status line with headers, and a file. `heard` gets the
 * requests' first lines. */
struct answer {
    const char *head, *file;
};

static pid_t serve(const struct answer *answers, size_t count, unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    pid_t child = fork();
    if (child) {
        close(listener);
        return child;
    }
    FILE *heard = fopen("heard", "w");
    for (size_t i = 0; i < count; i++) {
        char request[4096], head[300];
        static u8 body[80000];
        int fd = accept(listener, NULL, NULL);
        ssize_t got = read(fd, request, sizeof request - 1);
        request[got > 0 ? got : 0] = 0;
        fprintf(heard, "%.*s\n", (int)strcspn(request, "\r\n"), request);
        size_t n = answers[i].file ? read_file(answers[i].file, body, sizeof body) : 0;
        int h = snprintf(head, sizeof head,
                         "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                         answers[i].head, n);
        if (write(fd, head, (size_t)h) != h || write(fd, body, n) != (ssize_t)n)
            _exit(1);
        close(fd);
    }
    fclose(heard);
    _exit(0);
}

/* One run of verify with --kds against these answers; the server has to have given them all. */
static int verify_with(const struct answer *answers, size_t count, const char *words)
{
    unsigned port;
    int status;
    char line[1000];
    pid_t child = serve(answers, count, &port);
    snprintf(line, sizeof line,
             "verify --time 1700000000 --report report --root ark --kds http://127.0.0.1:%u %s",
             port, words);
    int result = owner(line);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return result;
}

#define HWID                                                                                       \
    "d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc"                             \
    "15d7af38db757039029f0efacfd08e244324884738c72b082e2f87a44d541eb6"

test_that_needs(a_key_server_is_asked, GENUINE)
{
    (void)state;
    char heard[2000];
    genuine_files();
    link_vector("sev/certs_data/vcek_milan.der", "vcek");
    link_vector("sev/certs_data/cert_chain_milan", "milan");
    setenv("no_proxy", "127.0.0.1", 1);
    const struct answer good[] = {{"200 OK", "vcek"}, {"200 OK", "milan"}};
    assert_int_equal(verify_with(good, 2, "--product Milan --crl none"), 0);
    heard[read_file("heard", heard, sizeof heard - 1)] = 0;
    assert_string_equal(heard, "GET /vcek/v1/Milan/" HWID
                               "?blSPL=03&teeSPL=00&snpSPL=08&ucodeSPL=115 HTTP/1.1\n"
                               "GET /vcek/v1/Milan/cert_chain HTTP/1.1\n");

    const struct answer busy[] = {{"429 Too Many Requests\r\nRetry-After: 1", NULL},
                                  {"200 OK", "vcek"},
                                  {"503 Service Unavailable", NULL},
                                  {"200 OK", "milan"}};
    assert_int_equal(verify_with(busy, 4, "--product Milan --crl none --kds-wait 2"), 0);

    const struct answer moved[] = {{"302 Found\r\nLocation: http://127.0.0.1:1/", NULL}};
    const struct answer absent[] = {{"404 Not Found", NULL}};
    const struct answer late[] = {{"429 Too Many Requests\r\nRetry-After: 3600", NULL}};
    const struct answer text[] = {{"200 OK", "passphrase"}};
    const struct answer wrong[] = {{"200 OK", "ark"}, {"200 OK", "milan"}};
    const struct answer list[] = {{"200 OK", "vcek"}, {"200 OK", "milan"}, {"200 OK", "vcek"}};
    const struct {
        const struct answer *answers;
        size_t count;
        const char *words, *error;
        int code;
    } cases[] = {
        {moved, 1, "--product Milan", ": the answer is 302: redirections are not followed",
         ERROR_FILE},
        {absent, 1, "--product Milan",
         ": the answer is 404: the server knows no such product, chip or TCB", ERROR_FILE},
        {late, 1, "--product Milan --kds-wait 5",
         ": the answer is 429: too busy; it wants 3600 s more, 5 are left of --kds-wait",
         ERROR_FILE},
        {text, 1, "--product Milan", ": the answer is not 1 X.509 certificate", ERROR_FILE},
        {wrong, 2, "--product Milan --crl none",
         "chain-complete: 0 certificates of a VCEK or VLEK were given; one is needed",
         ERROR_MEASUREMENT},
        {list, 3, "--product Milan", "/crl: the answer is not a revocation list", ERROR_FILE},
        {NULL, 0, "", "the report does not name its product: --product Milan or Genoa",
         ERROR_USAGE},
        {NULL, 0, "--product ../x", "--product '../x': expected a name such as Milan", ERROR_USAGE},
        {NULL, 0, "--kds-wait x --product Milan",
         "--kds-wait 'x': expected a number of at most 86400", ERROR_USAGE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(verify_with(cases[i].answers, cases[i].count, cases[i].words),
                         cases[i].code);
        if (!strstr(last_error, cases[i].error))
            print_message("# %s\n", last_error);
        assert_non_null(strstr(last_error, cases[i].error));
    }
    assert_int_equal(owner("verify --report report --root ark --kds file:///etc/passwd"),
                     ERROR_USAGE);
    assert_int_equal(owner("verify --report report --root ark --kds http://127.0.0.1:1 --product "
                           "Milan"),
                     ERROR_FILE);
}

#define ID_BLOCK "id-block --out-dir id --digest " DIGEST

/* With keys that openssl wrote: the digests are those of [snp 11]. */
test_that_needs(id_blocks_are_made_of_openssls_keys,
                .vectors = {"sev/measurement/test_id_key.pem", "sev/measurement/test_auth_key.pem"})
{
    (void)state;
    char raw[96], text[6000] = {0};
    u8 decoded[4096], page[4096];
    struct error e = {.code = ERROR_NONE};
    link_vector("sev/measurement/test_id_key.pem", "id.pem");
    link_vector("sev/measurement/test_auth_key.pem", "author.pem");
    assert_int_equal(owner(ID_BLOCK "--id-key-file id.pem --author-key-file author.pem"), 0);
    assert_non_null(strstr(said, "id key digest      59fb2c686dfa4fef49f38339aa775c90"));
    assert_non_null(strstr(said, "author key digest  eed81169fb0cb5e0ec34794f128fd4e0"));
    assert_int_equal(read_file("id/id-block.bin", raw, sizeof raw), 96);
    assert_int_equal(read_file("id/id-auth.bin", page, sizeof page), 4096);
    text[read_file("id/id-block.b64", text, sizeof text - 1)] = 0;
    assert_string_equal(text,
                        "oU1jg0HlZ0Yo/h4C++3r5eWrT68d1y2JZgaOYVu5nv0T0hSzXCMXFbOOJj3GBZdFAAAAAA"
                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAwAAAAAA");
    text[read_file("id/id-auth.b64", text, sizeof text - 1)] = 0;
    assert_int_equal(owner_decode_base64("auth", text, decoded, sizeof decoded, &e), 0);
    assert_memory_equal(decoded, page, sizeof page);

    assert_int_equal(owner(ID_BLOCK "--new-id-key --policy 0xb0000 --svn 7 --json"), 0);
    assert_non_null(strstr(said, "\"policy\":720896,\"svn\":7,"));
    assert_non_null(strstr(said, "\"author_key_digest\":\"\"}"));
    struct stat s;
    assert_int_equal(stat("id/id-key.pem", &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_int_equal(owner(ID_BLOCK "--id-key-file id/id-key.pem --new-author-key"), 0);
    const struct {
        const char *words;
        int code;
        const char *error;
    } cases[] = {
        {ID_BLOCK, ERROR_USAGE,
         "id-block needs --id-key-file or --new-id-key: `openssl genpkey -algorithm EC -pkeyopt "
         "ec_paramgen_curve:P-384` makes a key, too"},
        {ID_BLOCK "--id-key-file passphrase", ERROR_FILE,
         "passphrase: no private key in PEM or DER"},
        {ID_BLOCK "--id-key-file id.pem --policy 1", ERROR_USAGE,
         "guest policy 0x1: bit 17 must be one, bits 63:26 zero, such as 0x30000"},
        {ID_BLOCK "--id-key-file id.pem --family-id 12", ERROR_USAGE,
         "--family-id '12': expected 32 hexadecimal digits"},
        {"id-block --out-dir id --new-id-key", ERROR_USAGE,
         "id-block needs --digest, --kernel or --firmware: they say what may be launched"},
        {REPORT "--id-block id/id-block.bin", ERROR_USAGE, "--id-block needs --id-auth"},
        {REPORT "--id-block ark --id-auth ark", ERROR_FILE,
         "ark: this is a certificate in PEM, not an ID block"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(owner(cases[i].words), cases[i].code);
        assert_string_equal(last_error, cases[i].error);
    }
    /* The genuine report is of a guest without a block. */
    assert_int_equal(owner(REPORT "--id-block id/id-block.bin --id-auth id/id-auth.b64"),
                     ERROR_MEASUREMENT);
    assert_ptr_equal(strstr(last_error, "id-block: ID key digest: the report has 0000"),
                     last_error);
}

static void a_report_is_explained(void **state)
{
    (void)state;
    struct snp_report r = {.version = 3, .policy = 0xb0000};
    struct error e = {.code = ERROR_NONE};
    u8 elf[SMALL_ELF_SIZE];
    char line[300], digest[97];
    small_elf(elf, MIB(2), MIB(2), 0x100);
    write_file("elf", elf, sizeof elf);
    struct image_description d = {
        .memory_size = MIB(128), .mode = IMAGE_SEV_SNP, .kernel = {"elf", elf, sizeof elf}};
    struct image_plan *plan = image_build(&d, &e);
    assert_non_null(plan);
    image_snp_digest(plan, r.measurement);
    image_free(plan);
    hex_encode(digest, r.measurement, 48);
    write_file("snp-report", &r, sizeof r);
    assert_int_equal(owner("measure --mode snp --kernel elf --memory 128"), 0);
    said[96] = 0;
    assert_string_equal(said, digest);
#define EXPLAIN "explain --report snp-report --mode snp --kernel elf "
    assert_int_equal(owner(EXPLAIN "--memory 128M --policy 0xb0000"), 0);
    assert_non_null(strstr(said, "\n= policy       0xb0000 (ABI 0.0, SMT, DEBUG)\n"));
    assert_int_equal(owner(EXPLAIN "--policy 0x30000"), ERROR_MEASUREMENT);
    assert_string_equal(last_error,
                        "2 fields of the report are not as expected: --memory 128M, not 512M");
    snprintf(line, sizeof line, "+ measurement  %s\n- policy       0x30000 (ABI 0.0, SMT)\n",
             digest);
    assert_non_null(strstr(said, line));
    assert_non_null(strstr(said, "\nwhy: --memory 128M, not 512M\n"));
    assert_int_equal(owner(EXPLAIN "--json --append quiet"), ERROR_MEASUREMENT);
    assert_non_null(strstr(said, "\"why\":\"no other size of memory up to 2G, number "));
    assert_int_equal(owner(EXPLAIN "--memory 128M --vcpus 3"), ERROR_MEASUREMENT);
    assert_non_null(strstr(last_error, ": --vcpus 1, not 3"));
    snprintf(line, sizeof line, "explain --report snp-report --digest %s", digest);
    assert_int_equal(owner(line), 0);
    assert_int_equal(owner(EXPLAIN "--memory 128M --guest-features debug-swap"), ERROR_MEASUREMENT);
    assert_non_null(strstr(last_error, ": --guest-features 0x1, not 0x21"));
    d.sev_features = SEV_FEATURE_SNP | SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_SECURE_TSC;
    plan = image_build(&d, &e);
    assert_non_null(plan);
    image_snp_digest(plan, r.measurement);
    image_free(plan);
    write_file("snp-report", &r, sizeof r);
    assert_int_equal(owner(EXPLAIN "--memory 128M"), ERROR_MEASUREMENT);
    assert_non_null(strstr(last_error, ": --guest-features 0x221, not 0x1"));
    assert_int_equal(owner("explain --report elf"), ERROR_FILE);
    assert_string_equal(last_error, "elf: this is an ELF file, not a report");
    assert_int_equal(owner(EXPLAIN "--host-data 12"), ERROR_USAGE);
}

/* A SEV-ES guest that has more processors than its owner thinks. */
test_that_needs(a_refused_measurement_says_whose_it_is,
                .vectors = {"sev/measurement/ovmf_AmdSev_suffix.bin"})
{
    (void)state;
    char text[65], line[600], base64[4000] = {0};
    struct session_keys keys;
    struct sev_measure got;
    struct sev_cert godh;
    struct sev_session session;
    struct error e = {.code = ERROR_NONE};
    struct measurement m = {
        .api_major = 1, .api_minor = 55, .build = 25, .policy = 5, .mnonce = {9}};
    link_vector("sev/measurement/ovmf_AmdSev_suffix.bin", "suffix");
    assert_int_equal(owner("session --chain chain --root root --policy 5 --out-dir es"), 0);
    read_file("es/godh.b64", base64, sizeof base64 - 1);
    assert_int_equal(owner_decode_base64("godh", base64, &godh, sizeof godh, &e), 0);
    memset(base64, 0, sizeof base64);
    read_file("es/session.b64", base64, sizeof base64 - 1);
    assert_int_equal(owner_decode_base64("session", base64, &session, sizeof session, &e), 0);
    assert_int_equal(session_open(&pdh, &godh, &session, 5, &keys), SESSION_OK);
    assert_int_equal(owner("measure " ES "suffix --vcpus 3"), 0);
    said[64] = 0;
    assert_true(hex_decode(m.digest, sizeof m.digest, said));
    measurement_compute(&m, keys.tik, got.measure);
    memcpy(got.mnonce, m.mnonce, sizeof got.mnonce);
    text_encode_base64(text, &got, sizeof got);
#define MEASURED "measure " PLATFORM "--state es/owner.state --measurement %s " ES "suffix "
    snprintf(line, sizeof line, MEASURED "--vcpus 3", text);
    assert_int_equal(owner(line), 0);
    snprintf(line, sizeof line, MEASURED "--vcpus 2", text);
    assert_int_equal(owner(line), ERROR_MEASUREMENT);
    assert_non_null(strstr(last_error, "(3 processors, not 2)"));
}

static void every_help_fits_a_screen(void **state)
{
    (void)state;
    static const char *const helps[] = {
        "--help",         "verify --help",  "verify --help policy", "explain --help policy",
        "session --help", "measure --help", "secret --help",        "explain --help",
        "hello --help",   "answer --help",  "answer --help policy", "id-block --help"};
    for (size_t i = 0; i < ARRAY_SIZE(helps); i++) {
        unsigned lines = 0;
        assert_int_equal(owner(helps[i]), 0);
        for (const char *line = said; *line; line += strcspn(line, "\n") + 1) {
            assert_true(strcspn(line, "\n") <= 80);
            lines++;
        }
        assert_true(lines <= 25);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_steps_of_a_launch),
        cmocka_unit_test(a_refused_measurement_takes_the_agreement_back),
        cmocka_unit_test(what_the_owner_expects),
        cmocka_unit_test(a_platform_says_its_version_in_a_file),
        cmocka_unit_test(secrets_are_for_their_owner_alone),
        cmocka_unit_test(a_seed_repeats_a_session),
        cmocka_unit_test(refusals_have_their_exit_codes),
        cmocka_unit_test(explained_launches_can_be_compared),
        cmocka_unit_test(launches_that_make_no_sense_are_refused),
        cmocka_unit_test(genuine_reports_verify_and_refusals_name_the_check),
        cmocka_unit_test(a_key_server_is_asked),
        cmocka_unit_test(id_blocks_are_made_of_openssls_keys),
        cmocka_unit_test(a_report_is_explained),
        cmocka_unit_test(a_refused_measurement_says_whose_it_is),
        cmocka_unit_test(every_help_fits_a_screen),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
