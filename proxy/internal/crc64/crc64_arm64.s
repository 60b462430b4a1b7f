//go:build !purego

#include "textflag.h"

// move moves the 16 bytes in acc on, to those in next.
#define move(acc, next) \
	VPMULL acc.D1, V8.D1, V9.Q1               \
	VPMULL2 acc.D2, V8.D2, V10.Q1             \
	VEOR V9.B16, V10.B16, V9.B16              \
	VEOR V9.B16, next.B16, acc.B16

// func fold(rest *[64]byte, p []byte, factors *[2]uint64)
TEXT ·fold(SB), NOSPLIT, $0-40
	MOVD rest+0(FP), R0
	MOVD p_base+8(FP), R1
	MOVD p_len+16(FP), R2
	MOVD factors+32(FP), R3
	VLD1 (R3), [V8.B16]
	VLD1 (R0), [V0.B16, V1.B16, V2.B16, V3.B16]

loop:
	VLD1.P 64(R1), [V4.B16, V5.B16, V6.B16, V7.B16]
	move(V0, V4)
	move(V1, V5)
	move(V2, V6)
	move(V3, V7)
	SUBS $64, R2, R2
	BNE loop

	VST1 [V0.B16, V1.B16, V2.B16, V3.B16], (R0)
	RET
