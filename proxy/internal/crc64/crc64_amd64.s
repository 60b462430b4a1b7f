//go:build !purego

#include "textflag.h"

// move moves the 16 bytes in acc on, to those at offset of SI.
#define move(acc, spare, offset) \
	MOVOU acc, spare            \
	PCLMULQDQ $0x00, X8, acc    \
	PCLMULQDQ $0x11, X8, spare  \
	PXOR spare, acc             \
	MOVOU offset(SI), spare     \
	PXOR spare, acc

// func fold(rest *[64]byte, p []byte, factors *[2]uint64)
TEXT ·fold(SB), NOSPLIT, $0-40
	MOVQ rest+0(FP), AX
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), CX
	MOVQ factors+32(FP), DX
	MOVOU (DX), X8
	MOVOU 0(AX), X0
	MOVOU 16(AX), X1
	MOVOU 32(AX), X2
	MOVOU 48(AX), X3

loop:
	move(X0, X4, 0)
	move(X1, X5, 16)
	move(X2, X6, 32)
	move(X3, X7, 48)
	ADDQ $64, SI
	SUBQ $64, CX
	JNZ loop

	MOVOU X0, 0(AX)
	MOVOU X1, 16(AX)
	MOVOU X2, 32(AX)
	MOVOU X3, 48(AX)
	RET
