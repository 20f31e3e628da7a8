/*
 * subscribers: many WebSocket clients in one process, light enough to load any of the servers measured here.
 *
 * It opens N connections, sends each one a join frame, and counts what comes back. It does not judge and does
 * not time the server: whoever starts it does, in step with two lines of JSON that it prints:
 *
 *   {"event":"ready",...}   every connection is open (and, with --joined, has had a message with that text)
 *   {"event":"done",...}    every connection has had --expect messages; or the time is up, or stdin has closed
 *
 * Times are CLOCK_MONOTONIC in nanoseconds, the clock of Python's time.monotonic_ns().
 *
 * On loopback the kernel does a receiver's work on the sender's CPU time: it wakes whoever sleeps on the socket and
 * files the socket in its epoll set. A subscriber on another machine costs the server nothing of the kind. So while
 * messages are expected this client neither sleeps on its sockets nor keeps them in an epoll set; it sweeps over
 * all of them, naps a millisecond, and sweeps again. Give it a core of its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, OPENING_AT_ONCE = 100, EVENTS_AT_ONCE = 512, NAP_NS = 1000000 };
#define STANDARD_INPUT UINT32_MAX
enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

/* What browsers send besides: a server that keeps a request's headers has to keep these too. */
#define BROWSER_HEADERS \
    "Origin: http://127.0.0.1\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n" \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" \
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" \
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

typedef enum { CONNECTING, HANDSHAKE, OPEN, GONE } State;

typedef struct {
    int fd;
    State state;
    int settled;          /* counted as ready */
    unsigned char *rest;  /* the beginning of a frame whose end has not arrived yet */
    size_t rest_bytes;
    long messages;        /* since ready */
} Connection;

static struct {
    int port, count, groups, sources;
    long expect;
    double timeout;
    const char *path, *join, *joined, *protocol, *mark;
} want = {.port = 8000, .count = 1, .groups = 1, .sources = 1, .timeout = 60, .path = "/"};

static Connection *connections;
static unsigned char *buffer;
static size_t buffer_bytes;
static int poller, started, opening, settled, gone, ready;
static long messages, satisfied, reads;
static uint64_t bytes, first_ns, last_ns;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* ---- sending: only small frames, into empty socket buffers, so a short write is a fault ---- */

static void send_bytes(int fd, const void *data, size_t size) {
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size && errno != EPIPE && errno != ECONNRESET) fail("send");
}

static void send_frame(int fd, int opcode, const unsigned char *payload, size_t size) {
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    unsigned char frame[4096 + 8];
    size_t head = 2;
    if (size > 4096) return; /* no join is that long, and a ping has at most 125 bytes */
    frame[0] = (unsigned char)(0x80 | opcode);
    if (size < 126) {
        frame[1] = (unsigned char)(0x80 | size);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) frame[head + i] = payload[i] ^ mask[i & 3];
    send_bytes(fd, frame, head + size);
}

/* The join text, with %d replaced by the connection's number and %g by the number of its group. */
static void send_join(int index) {
    char text[4096];
    size_t used = 0;
    for (const char *p = want.join; *p && used < sizeof text - 16; p++) {
        if (p[0] == '%' && (p[1] == 'd' || p[1] == 'g')) {
            int number = *++p == 'd' ? index : index % want.groups;
            used += (size_t)sprintf(text + used, "%d", number);
        } else {
            text[used++] = *p;
        }
    }
    send_frame(connections[index].fd, TEXT, (unsigned char *)text, used);
}

/* ---- one connection ---- */

static void settle(Connection *c) {
    if (!c->settled) c->settled = 1, settled++;
}

static void drop(Connection *c) {
    if (c->state == GONE) return;
    if (c->state != OPEN) opening--;
    if (c->messages < want.expect) satisfied++; /* nothing more can come: do not wait for it */
    settle(c);
    gone++;
    c->state = GONE;
    close(c->fd);
}

static void begin(int index) {
    Connection *c = &connections[index];
    int on = 1;
    struct linger reset = {1, 0}; /* leave no port in TIME_WAIT behind */
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % want.sources));
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) fail("bind");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)want.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) fail("connect");
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)index};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &interest);
    c->state = CONNECTING;
    opening++;
}

static void send_request(int index) {
    Connection *c = &connections[index];
    char request[2048], protocol[256] = "";
    if (want.protocol) snprintf(protocol, sizeof protocol, "Sec-WebSocket-Protocol: %s\r\n", want.protocol);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
                        want.path, want.port, protocol, BROWSER_HEADERS);
    send_bytes(c->fd, request, (size_t)size);
    struct epoll_event interest = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &interest);
    c->state = HANDSHAKE;
}

static long count_marks(const unsigned char *payload, size_t size) {
    long found = 0;
    size_t mark = strlen(want.mark);
    const unsigned char *end = payload + size;
    while ((payload = memmem(payload, (size_t)(end - payload), want.mark, mark))) found++, payload += mark;
    return found;
}

static void on_message(Connection *c, const unsigned char *payload, size_t size) {
    if (!ready) {
        if (want.joined && memmem(payload, size, want.joined, strlen(want.joined))) settle(c);
        return;
    }
    long before = c->messages, found = want.mark ? count_marks(payload, size) : 1;
    c->messages += found;
    messages += found;
    bytes += size;
    if (before < want.expect && c->messages >= want.expect) satisfied++;
}

static void on_frame(Connection *c, int opcode, const unsigned char *payload, size_t size) {
    if (opcode == PING) send_frame(c->fd, PONG, payload, size);
    else if (opcode == CLOSE) drop(c);
    else if (opcode != PONG) on_message(c, payload, size);
}

/* Answers how many bytes of the frame at `p` are there to be used: 0 when it is not whole. */
static size_t take_frame(Connection *c, const unsigned char *p, size_t there) {
    if (there < 2) return 0;
    size_t head = 2, extra = (p[1] & 127) == 126 ? 2 : (p[1] & 127) == 127 ? 8 : 0;
    uint64_t size = p[1] & 127;
    if (there < head + extra) return 0;
    if (extra) size = 0;
    for (size_t i = 0; i < extra; i++) size = size << 8 | p[head + i];
    head += extra;
    if (there - head < size) return 0;
    on_frame(c, p[0] & 15, p + head, size);
    return head + size;
}

/* Answers how many bytes the answer to the handshake has: 0 when it is not whole. */
static size_t take_handshake(int index, const unsigned char *p, size_t there) {
    Connection *c = &connections[index];
    const unsigned char *end = memmem(p, there, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(p, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "refused: %.80s\n", (const char *)p);
        drop(c);
        return 0;
    }
    c->state = OPEN;
    opening--;
    if (want.join) send_join(index);
    if (!want.joined) settle(c);
    return (size_t)(end + 4 - p);
}

static void keep_rest(Connection *c, const unsigned char *p, size_t size) {
    c->rest_bytes = size;
    if (!size) return;
    c->rest = realloc(c->rest, size);
    if (!c->rest) fail("realloc");
    memcpy(c->rest, p, size);
}

static void on_readable(int index) {
    Connection *c = &connections[index];
    size_t held = c->rest_bytes, used = 0, step = 1;
    if (buffer_bytes < held + READ_BYTES) {
        buffer = realloc(buffer, buffer_bytes = 2 * held + READ_BYTES);
        if (!buffer) fail("realloc");
    }
    ssize_t got = recv(c->fd, buffer + held, READ_BYTES, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(c);
        return;
    }
    reads++;
    if (held) memcpy(buffer, c->rest, held);
    size_t there = held + (size_t)got;
    if (c->state == HANDSHAKE) step = used = take_handshake(index, buffer, there);
    while (step && c->state == OPEN) used += step = take_frame(c, buffer + used, there - used);
    if (c->state != GONE) keep_rest(c, buffer + used, there - used);
}

static void on_event(int index, uint32_t events) {
    Connection *c = &connections[index];
    if (c->state == GONE) return;
    if (c->state == CONNECTING) {
        if (events & (EPOLLERR | EPOLLHUP)) drop(c);
        else send_request(index);
        return;
    }
    long before = messages;
    on_readable(index);
    if (messages == before) return;
    last_ns = now_ns();
    if (!first_ns) first_ns = last_ns;
}

/* ---- the run ---- */

static void say_ready(uint64_t began) {
    ready = 1;
    printf("{\"event\":\"ready\",\"open\":%d,\"gone\":%d,\"seconds\":%.3f}\n", settled - gone, gone,
           (double)(now_ns() - began) / 1e9);
    fflush(stdout);
}

static void say_done(void) {
    long least = want.count ? connections[0].messages : 0, most = least;
    for (int i = 0; i < want.count; i++) {
        if (connections[i].messages < least) least = connections[i].messages;
        if (connections[i].messages > most) most = connections[i].messages;
    }
    printf("{\"event\":\"done\",\"messages\":%ld,\"least\":%ld,\"most\":%ld,\"gone\":%d,\"bytes\":%llu,\"reads\":%ld,"
           "\"first_ns\":%llu,\"last_ns\":%llu}\n",
           messages, least, most, gone, (unsigned long long)bytes, reads, (unsigned long long)first_ns,
           (unsigned long long)last_ns);
    fflush(stdout);
}

static int out_of_time(uint64_t since) { return (double)(now_ns() - since) > want.timeout * 1e9; }

/* Opens the connections, then answers what comes, until `enough`. Answers 0 when standard input has closed. */
static int serve_events(int (*enough)(void), uint64_t since) {
    struct epoll_event events[EVENTS_AT_ONCE];
    while (!enough() && !out_of_time(since)) {
        while (started < want.count && opening < OPENING_AT_ONCE) begin(started++);
        int count = epoll_wait(poller, events, EVENTS_AT_ONCE, 10);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == STANDARD_INPUT) return 0;
            on_event((int)events[i].data.u32, events[i].events);
        }
    }
    return 1;
}

static int all_settled(void) { return settled == want.count; }
static int never(void) { return 0; }

static void leave_poller(void) {
    for (int i = 0; i < want.count; i++)
        if (connections[i].state == OPEN) epoll_ctl(poller, EPOLL_CTL_DEL, connections[i].fd, NULL);
}

static void sweep_until_satisfied(uint64_t since) {
    static const struct timespec nap = {0, NAP_NS};
    leave_poller();
    while (satisfied < want.count && !out_of_time(since)) {
        for (int i = 0; i < want.count; i++) on_event(i, EPOLLIN);
        nanosleep(&nap, NULL);
    }
}

static void run(void) {
    struct epoll_event closing = {.events = EPOLLIN, .data.u32 = STANDARD_INPUT};
    uint64_t began = now_ns();
    poller = epoll_create1(0);
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &closing);
    if (!serve_events(all_settled, began) || !all_settled()) return;
    say_ready(began);
    if (want.expect) sweep_until_satisfied(now_ns());
    else serve_events(never, now_ns());
}

static void allow_many_files(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int usage(void) {
    fputs("usage: subscribers --port P --count N [--path /] [--join TEXT, %d: connection, %g: group] [--groups G]\n"
          "         [--protocol SUBPROTOCOL] [--joined TEXT] [--expect MESSAGES_PER_CONNECTION]\n"
          "         [--mark TEXT: count its occurrences instead of messages] [--sources ADDRESSES] [--timeout S]\n",
          stderr);
    return 2;
}

static int read_option(const char *name, const char *value) {
    if (!strcmp(name, "--port")) want.port = atoi(value);
    else if (!strcmp(name, "--count")) want.count = atoi(value);
    else if (!strcmp(name, "--path")) want.path = value;
    else if (!strcmp(name, "--join")) want.join = value;
    else if (!strcmp(name, "--groups")) want.groups = atoi(value);
    else if (!strcmp(name, "--protocol")) want.protocol = value;
    else if (!strcmp(name, "--joined")) want.joined = value;
    else if (!strcmp(name, "--expect")) want.expect = atol(value);
    else if (!strcmp(name, "--mark")) want.mark = value;
    else if (!strcmp(name, "--sources")) want.sources = atoi(value);
    else if (!strcmp(name, "--timeout")) want.timeout = atof(value);
    else return 0;
    return 1;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !read_option(argv[i], argv[i + 1])) return usage();
    if (want.count < 1 || want.groups < 1 || want.sources < 1) return usage();
    connections = calloc((size_t)want.count, sizeof *connections);
    if (!connections) fail("calloc");
    allow_many_files();
    run();
    say_done();
    return 0;
}
