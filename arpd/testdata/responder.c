// The least that answers ARP for one address: the yardstick of BenchmarkAnswer.
// Usage: responder INTERFACE-INDEX MAC ADDRESS, both in hexadecimal digits.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void unhex(const char *text, unsigned char *out, int n) {
	for (int i = 0; i < n; i++) {
		unsigned int byte = 0;
		sscanf(text + 2 * i, "%2x", &byte);
		out[i] = (unsigned char)byte;
	}
}

int main(int argc, char **argv) {
	unsigned char mac[6], ip[4], f[2048];
	if (argc != 4 || strlen(argv[2]) != 12 || strlen(argv[3]) != 8) {
		fprintf(stderr, "usage: responder INDEX MAC ADDRESS\n");
		return 2;
	}
	unhex(argv[2], mac, 6);
	unhex(argv[3], ip, 4);
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = atoi(argv[1])};
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		perror("responder");
		return 1;
	}
	for (;;) {
		ssize_t n = read(fd, f, sizeof f);
		if (n < 42 || f[20] != 0 || f[21] != 1 || memcmp(f + 38, ip, 4) != 0)
			continue;
		memcpy(f, f + 22, 6);       // Ethernet destination: the sender
		memcpy(f + 32, f + 22, 10); // target: the sender
		memcpy(f + 6, mac, 6);
		memcpy(f + 22, mac, 6);
		memcpy(f + 28, ip, 4);
		f[21] = 2;
		if (write(fd, f, 42) < 0)
			perror("responder");
	}
}
