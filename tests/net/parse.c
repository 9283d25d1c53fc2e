/* SPDX-License-Identifier: Apache-2.0 */
/* The words of --net: what is accepted, and what the errors name. */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void networks_and_ports_are_read(void **state)
{
    (void)state;
    struct net_options o;
    struct error e = {.code = ERROR_NONE};
    assert_int_equal(net_parse("off", &o, &e), 0);
    assert_false(o.on);
    assert_int_equal(net_parse("user", &o, &e), 0);
    assert_true(o.on);
    assert_int_equal(o.publish_count, 0);
    assert_int_equal(net_parse("user,publish=2222:22,publish=0.0.0.0:65535:1/udp,"
                               "publish=192.168.1.255:80:80/tcp,publish=2222:22/udp",
                               &o, &e),
                     0);
    static const struct net_publish right[] = {
        {false, {127, 0, 0, 1}, 2222, 22},
        {true, {0, 0, 0, 0}, 65535, 1},
        {false, {192, 168, 1, 255}, 80, 80},
        {true, {127, 0, 0, 1}, 2222, 22},
    };
    assert_int_equal(o.publish_count, ARRAY_SIZE(right));
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        const struct net_publish *p = &o.publish[i];
        assert_int_equal(p->udp, right[i].udp);
        assert_memory_equal(p->address, right[i].address, 4);
        assert_int_equal(p->host_port, right[i].host_port);
        assert_int_equal(p->guest_port, right[i].guest_port);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } wrong[] = {
        {"", "expected off, or user"},
        {"tap", "expected off, or user"},
        {"users", "expected off, or user"},
        {"off,publish=1:1", "expected off, or user"},
        {"user,", "'' should be publish=HOST:GUEST"},
        {"user,hostfwd=1:2", "'hostfwd=1:2' should be publish=HOST:GUEST"},
        {"user,publish=", "should be publish=[ADDRESS:]HOST:GUEST"},
        {"user,publish=1", "should be publish=[ADDRESS:]HOST:GUEST"},
        {"user,publish=0:1", "ports from 1 to 65535"},
        {"user,publish=1:0", "ports from 1 to 65535"},
        {"user,publish=65536:1", "ports from 1 to 65535"},
        {"user,publish=99999999999999999999:1", "ports from 1 to 65535"},
        {"user,publish=1:2:3", "with an IPv4 address"},
        {"user,publish=1:2/sctp", "[/udp]"},
        {"user,publish=-1:2", "ports from 1 to 65535"},
        {"user,publish= 1:2", "ports from 1 to 65535"},
        {"user,publish=127.0.0.1:1", "with an IPv4 address"},
        {"user,publish=127.0.0.256:1:2", "with an IPv4 address"},
        {"user,publish=127.0.0:1:2", "with an IPv4 address"},
        {"user,publish=1:2,publish=1:3", "port 1 is published twice"},
        {"user,publish=1:2/udp,publish=127.0.0.1:1:3/udp", "port 1 is published twice"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct net_options o;
        struct error e = {.code = ERROR_NONE};
        assert_int_equal(net_parse(wrong[i].text, &o, &e), -1);
        assert_int_equal(e.code, ERROR_USAGE);
        if (!strstr(e.text, wrong[i].error))
            fail_msg("%s: %s", wrong[i].text, e.text);
    }
}

static void there_is_a_bound(void **state)
{
    (void)state;
    struct net_options o;
    struct error e = {.code = ERROR_NONE};
    char text[2000] = "user";
    for (u32 i = 1; i <= NET_PUBLISH_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), ",publish=%u:1", i);
    assert_int_equal(net_parse(text, &o, &e), 0);
    assert_int_equal(o.publish_count, NET_PUBLISH_MAX);
    strcat(text, ",publish=1000:1");
    assert_int_equal(net_parse(text, &o, &e), -1);
    assert_non_null(strstr(e.text, "at most 32 ports"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_and_ports_are_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(there_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
