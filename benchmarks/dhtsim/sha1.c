/* SHA-1 (FIPS 180-4) of one block: BEP 33 hashes addresses of 4 or 8 bytes. */
#include "sha1.h"
#include <string.h>

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

void sha1_short(const uint8_t *bytes, size_t length, uint8_t digest[20]) {
  uint8_t block[64] = {0};
  memcpy(block, bytes, length);
  block[length] = 0x80;
  block[63] = (uint8_t)(length * 8);
  block[62] = (uint8_t)(length * 8 >> 8);

  uint32_t w[80];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

  const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint32_t a = start[0], b = start[1], c = start[2], d = start[3], e = start[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = rotated(a, 5) + f + e + k + w[i];
    e = d, d = c, c = rotated(b, 30), b = a, a = next;
  }
  const uint32_t sums[5] = {start[0] + a, start[1] + b, start[2] + c, start[3] + d, start[4] + e};
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(sums[i / 4] >> (24 - 8 * (i % 4)));
}
