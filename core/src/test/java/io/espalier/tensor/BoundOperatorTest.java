package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.stream.IntStream;

class BoundOperatorTest {
    private static final BoundOperator SUM =
            Operators.find("aten::add", "Tensor").bind(Operator.TENSOR, Operator.TENSOR, 2);

    @Test
    @DisplayName("Each call takes its own tensors, and constants that were bound once")
    void takesTensors() {
        Tensor a = Tensors.of(1, 2);
        Tensor b = Tensors.of(10, 20);
        assertArrayEquals(new float[] {21, 42}, Tensors.floats(SUM.call(a, b)));
        assertArrayEquals(new float[] {12, 24}, Tensors.floats(SUM.call(b, a)));
        assertArrayEquals(new float[] {1, 2}, Tensors.floats(a));
    }

    @Test
    @DisplayName("The result belongs to the scope around the call, and what it was made of stays")
    void belongsToScope() {
        Tensor a = Tensors.of(1, 2);
        Tensor sum;
        try (var scope = new PointerScope()) {
            sum = SUM.call(a, a);
            assertFalse(sum.isNull());
        }
        assertTrue(sum.isNull());
        assertArrayEquals(new float[] {1, 2}, Tensors.floats(a));
    }

    @Test
    @DisplayName("Wrong tensors are one clear line, and the next call is right again")
    void wrongTensors() {
        Tensor a = Tensors.of(1, 2);
        assertEquals(
                "aten::add.Tensor was bound for 2 tensors; it was given 1.",
                messageOf(() -> SUM.call(a)));
        assertEquals(
                "aten::add.Tensor was given an undefined tensor.",
                messageOf(() -> SUM.call(a, new Tensor())));
        assertTrue(messageOf(() -> SUM.call(a, Tensors.of(1, 2, 3))).startsWith("aten::add"));
        assertArrayEquals(new float[] {3, 6}, Tensors.floats(SUM.call(a, a)));
    }

    @Test
    @DisplayName("An operator that gives no tensor is named with its signature")
    void noTensor() {
        Tensor weight = torch.quantize_per_tensor(Tensors.ones(8, 4), 0.05, 0, ScalarType.QInt8);
        BoundOperator prepack =
                Operators.find("quantized::linear_prepack", "").bind(Operator.TENSOR, null);
        String message = messageOf(() -> prepack.call(weight));
        assertTrue(message.contains("does not return a tensor; its signature is"), message);
    }

    @Test
    @DisplayName("Eight threads that call one operator with tensors of their own don't mix them up")
    void manyThreads() {
        boolean right =
                IntStream.range(0, 8)
                        .parallel()
                        .mapToObj(i -> {
                            Tensor own = Tensors.of(i, i + 1);
                            boolean same = true;
                            for (int k = 0; k < 500; k++) {
                                try (var scope = new PointerScope()) {
                                    float[] sum = Tensors.floats(SUM.call(own, own));
                                    same &= sum[0] == 3 * i && sum[1] == 3 * i + 3;
                                }
                            }
                            return same;
                        })
                        .allMatch(same -> same);
        assertTrue(right);
    }

    @Test
    @DisplayName("A call keeps none of its tensors")
    void keepsNothing() {
        try (var scope = new PointerScope()) {
            Tensor big = Tensors.zeros(1 << 22);
            SUM.call(big, big);
        }
        long before = Pointer.physicalBytes();
        for (int i = 0; i < 300; i++) {
            try (var scope = new PointerScope()) {
                Tensor big = Tensors.zeros(1 << 22);
                SUM.call(big, big);
            }
        }
        assertTrue(Pointer.physicalBytes() - before < 200L << 20);
    }
}
