#ifndef SHA1_H
#define SHA1_H
#include <stddef.h>
#include <stdint.h>

/* FIPS 180-4, for messages of at most 55 bytes: addresses are hashed, nothing else. */
void sha1_short(const uint8_t *bytes, size_t length, uint8_t digest[20]);

#endif
