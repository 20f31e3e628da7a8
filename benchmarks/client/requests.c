/*
 * requests: N connections that each send the same request again and again, the next one when the answer is whole.
 *
 * It counts answers and how long each took, and says so in one line of JSON when the time is up:
 *
 *   {"answers":..,"refused":..,"seconds":..,"p50_us":..,"p99_us":..,"max_us":..}
 *
 * `refused` are answers with another status than 200. It ends with status 1 when a connection is lost. In the body
 * `#` stands for the connection's number. Answers must have a Content-Length. The first --warm-up seconds do not
 * count. Times are CLOCK_MONOTONIC; a microsecond counts whole.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES = 64 * 1024, ANSWER_BYTES = 256 * 1024, EVENTS_AT_ONCE = 256, MOST_US = 10 * 1000 * 1000 };

typedef struct {
    int fd;
    char *request;
    size_t request_bytes;
    char *answer;
    size_t answer_bytes;
    int64_t sent_at;
} Connection;

static struct {
    int port, connections;
    double seconds, warm_up;
    const char *method, *path, *body;
} want = {.connections = 64, .seconds = 5, .warm_up = 1, .method = "GET", .path = "/"};

static long answers, refused;
/* How many answers took so many microseconds; the last one holds whatever took longer. */
static uint32_t *took;

static void fail(const char *what) {
    fprintf(stderr, "requests: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void write_request(Connection *one, int number) {
    char body[REQUEST_BYTES / 2];
    size_t size = 0;
    for (const char *from = want.body ? want.body : ""; *from && size < sizeof body - 16; from++)
        if (*from == '#') size += sprintf(body + size, "%d", number);
        else body[size++] = *from;
    one->request = malloc(REQUEST_BYTES);
    int head = snprintf(one->request, REQUEST_BYTES / 2, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", want.method,
                        want.path, want.port);
    if (want.body)
        head += sprintf(one->request + head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", size);
    head += sprintf(one->request + head, "\r\n");
    memcpy(one->request + head, body, size);
    one->request_bytes = head + size;
}

static void send_request(Connection *one) {
    one->sent_at = now_ns();
    one->answer_bytes = 0;
    if (send(one->fd, one->request, one->request_bytes, MSG_NOSIGNAL) != (ssize_t)one->request_bytes) fail("send");
}

static void open_connection(Connection *one, int number, int poll) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(want.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(one->fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    one->answer = malloc(ANSWER_BYTES + 1);
    write_request(one, number);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, one->fd, &event)) fail("epoll_ctl");
}

/* Whether the answer is whole. */
static int whole(const Connection *one) {
    const char *end = memmem(one->answer, one->answer_bytes, "\r\n\r\n", 4);
    if (!end) return 0;
    for (const char *line = one->answer; line < end; line++)
        if (*line == '\n' && !strncasecmp(line + 1, "content-length:", 15))
            return one->answer_bytes >= (size_t)(end + 4 - one->answer) + strtoul(line + 16, NULL, 10);
    errno = EPROTO;
    fail("an answer without Content-Length");
    return 0;
}

static void take_answer(Connection *one, int counts) {
    if (counts) {
        int64_t us = (now_ns() - one->sent_at) / 1000;
        answers++;
        refused += strncmp(one->answer, "HTTP/1.1 200", 12) != 0;
        took[us < MOST_US ? us : MOST_US - 1]++;
    }
    send_request(one);
}

static void read_some(Connection *one, int counts) {
    ssize_t got = recv(one->fd, one->answer + one->answer_bytes, ANSWER_BYTES - one->answer_bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) fail("a connection was lost");
    one->answer_bytes += got;
    one->answer[one->answer_bytes] = 0;
    if (whole(one)) take_answer(one, counts);
}

static void run(int poll, int64_t end, int counts) {
    struct epoll_event events[EVENTS_AT_ONCE];
    while (now_ns() < end) {
        int ready = epoll_wait(poll, events, EVENTS_AT_ONCE, 100);
        for (int n = 0; n < ready; n++) read_some(events[n].data.ptr, counts);
    }
}

static long percentile(double share) {
    long before = 0;
    for (long us = 0; us < MOST_US; us++)
        if ((before += took[us]) > share * answers) return us;
    return 0;
}

static void read_options(int count, char **words) {
    for (int n = 1; n + 1 < count; n += 2) {
        const char *name = words[n], *value = words[n + 1];
        if (!strcmp(name, "--port")) want.port = atoi(value);
        else if (!strcmp(name, "--connections")) want.connections = atoi(value);
        else if (!strcmp(name, "--seconds")) want.seconds = atof(value);
        else if (!strcmp(name, "--warm-up")) want.warm_up = atof(value);
        else if (!strcmp(name, "--method")) want.method = value;
        else if (!strcmp(name, "--path")) want.path = value;
        else if (!strcmp(name, "--body")) want.body = value;
        else { fprintf(stderr, "requests: no option %s\n", name); exit(2); }
    }
}

int main(int count, char **words) {
    read_options(count, words);
    took = calloc(MOST_US, sizeof *took);
    Connection *all = calloc(want.connections, sizeof *all);
    int poll = epoll_create1(0);
    for (int n = 0; n < want.connections; n++) open_connection(&all[n], n, poll);
    for (int n = 0; n < want.connections; n++) send_request(&all[n]);
    run(poll, now_ns() + (int64_t)(want.warm_up * 1e9), 0);
    printf("begin\n");
    fflush(stdout);
    int64_t began = now_ns();
    run(poll, began + (int64_t)(want.seconds * 1e9), 1);
    double seconds = (now_ns() - began) / 1e9;
    printf("{\"answers\":%ld,\"refused\":%ld,\"seconds\":%.6f,\"p50_us\":%ld,\"p99_us\":%ld,\"max_us\":%ld}\n",
           answers, refused, seconds, percentile(0.5), percentile(0.99), percentile(0.999999));
    return 0;
}
