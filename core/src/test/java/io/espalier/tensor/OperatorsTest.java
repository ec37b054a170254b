package io.espalier.tensor;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class OperatorsTest {
    private static final long[] ONES = {1, 1};

    private static Tensor quantized(Tensor tensor) {
        return torch.quantize_per_tensor(tensor, 0.05, 64, ScalarType.QUInt8);
    }

    private static PackedObject packedConv() {
        Tensor weight =
                torch.quantize_per_tensor(Tensors.ones(8, 4, 3, 3), 0.05, 0, ScalarType.QInt8);
        return Operators.find("quantized::conv2d_prepack", "")
                .packed(weight, null, ONES, ONES, ONES, 1);
    }

    @Test
    @DisplayName("A packed convolution runs, and its result outlives the call but not the scope")
    void packsAndRuns() {
        PackedObject packed = packedConv();
        Tensor y;
        try (var scope = new PointerScope()) {
            Tensor x = quantized(Tensors.ones(1, 4, 8, 8));
            y = Operators.call("quantized::conv2d", "new", x, packed, 0.5, 10L);
            assertArrayEquals(new long[] {1, 8, 8, 8}, Tensors.shape(y));
            assertEquals(36, y.dequantize().max().item_float(), 0.5);
        }
        assertTrue(y.isNull());
    }

    @Test
    @DisplayName("A result that is to live on is kept as any other tensor")
    void keepsResults() {
        Tensor y;
        try (var scope = new PointerScope()) {
            Tensor x = quantized(Tensors.zeros(1, 4, 8, 8));
            y = Tensors.keep(Operators.call("quantized::conv2d", "new", x, packedConv(), 0.5, 10));
        }
        assertEquals(0, y.dequantize().max().item_float());
    }

    @Test
    @DisplayName("A list of tensors is boxed with the element type of the schema")
    void takesTensorLists() {
        Tensor x = quantized(Tensors.ones(2, 3));
        Tensor y = Operators.call("quantized::cat", "", List.of(x, x, x), 1, null, null);
        assertArrayEquals(new long[] {2, 9}, Tensors.shape(y));
    }

    @Test
    @DisplayName("Arguments with a default may be left out")
    void fillsDefaults() {
        Tensor x = Tensors.of(1f, 2f, 3f);
        assertEquals(6, Operators.call("aten::sum", "", x).item_float());
        assertEquals(
                ScalarType.Double,
                Tensors.type(Operators.call("aten::sum", "", x, ScalarType.Double)));
    }

    @Test
    @DisplayName("Several results come as a list, None as an empty optional")
    void returnsSeveral() {
        List<Object> parts = Operators.find("quantized::conv2d_unpack", "").call(packedConv());
        assertEquals(2, parts.size());
        assertArrayEquals(new long[] {8, 4, 3, 3}, Tensors.shape((Tensor) parts.getFirst()));
    }

    @Test
    @DisplayName("A name that libtorch does not have is a clear error")
    void unknownName() {
        String message = messageOf(() -> Operators.find("quantized::no_such", ""));
        assertTrue(message.contains("quantized::no_such"), message);
    }

    @Test
    @DisplayName("Too few and too many arguments are refused with the signature")
    void wrongArity() {
        assertTrue(
                messageOf(() -> Operators.call("quantized::add", "", Tensors.ones(1)))
                        .startsWith("quantized::add takes 4 arguments; it was given 1. "));
        assertTrue(
                messageOf(() -> Operators.call("aten::relu", "", Tensors.ones(1), 2L))
                        .contains("takes 1 arguments; it was given 2"));
    }

    @Test
    @DisplayName("An argument of a wrong type is refused by its name, before libtorch sees it")
    void wrongType() {
        Tensor x = Tensors.ones(1);
        PackedObject conv = packedConv();
        assertEquals(
                "quantized::add takes float as its argument 'scale'; it was given String.",
                messageOf(() -> Operators.call("quantized::add", "", x, x, "1", 0)));
        assertEquals(
                "quantized::add takes int as its argument 'zero_point'; it was given Double.",
                messageOf(() -> Operators.call("quantized::add", "", x, x, 1.0, 0.5)));
        assertEquals(
                "quantized::add takes Tensor as its argument 'qa'; it was given null.",
                messageOf(() -> Operators.call("quantized::add", "", null, x, 1.0, 0)));
        assertEquals(
                "quantized::add takes Tensor as its argument 'qb'; it was given an undefined"
                        + " tensor.",
                messageOf(() -> Operators.call("quantized::add", "", x, new Tensor(), 1.0, 0)));
        assertTrue(
                messageOf(() -> Operators.call("quantized::linear", "", x, conv, 1.0, 0))
                        .contains("it was given __torch__.torch.classes.quantized.Conv2dPacked"));
        assertTrue(
                messageOf(() -> Operators.call("quantized::cat", "", List.of(x, 1L), 0, null, null))
                        .contains("takes Tensor[] as its argument 'qx'; it was given a list of 2"));
    }

    @Test
    @DisplayName("What an operator itself refuses is one line that names it")
    void operatorFails() {
        String message =
                messageOf(() ->
                        Operators.call(
                                "quantized::conv2d",
                                "new",
                                Tensors.ones(1, 4, 8, 8),
                                packedConv(),
                                1.0,
                                0));
        assertTrue(
                message.startsWith(
                        "quantized::conv2d.new: quantized::conv2d.new has no kernel for"),
                message);
    }

    @Test
    @DisplayName("Asking one tensor of an operator that returns an object is a clear error")
    void wrongResult() {
        Tensor weight = torch.quantize_per_tensor(Tensors.ones(8, 4), 0.05, 0, ScalarType.QInt8);
        assertTrue(
                messageOf(() -> Operators.call("quantized::linear_prepack", "", weight, null))
                        .contains("does not return one Tensor"));
    }

    @Test
    @DisplayName("Thousands of calls, and failing calls on megabytes, leave the process flat")
    void memoryStaysFlat() {
        PackedObject packed = packedConv();
        Tensor x = quantized(Tensors.ones(1, 4, 32, 32));
        succeed(500, x, packed);
        fail(5, packed);
        long before = Pointer.physicalBytes();
        succeed(3000, x, packed);
        fail(60, packed);
        long grown = Pointer.physicalBytes() - before;
        assertTrue(grown < 48L << 20, "grew by " + grown + " bytes");
    }

    private static void succeed(int times, Tensor x, PackedObject packed) {
        for (int i = 0; i < times; i++) {
            try (var scope = new PointerScope()) {
                Operators.call("quantized::conv2d", "new", x, packed, 0.5, 10);
            }
        }
    }

    /** Each call holds 4 MB, so that one that leaks its arguments shows soon. */
    private static void fail(int times, PackedObject packed) {
        for (int i = 0; i < times; i++) {
            try (var scope = new PointerScope()) {
                Tensor x = Tensors.ones(1, 4, 512, 512);
                assertThrows(
                        TensorException.class,
                        () -> Operators.call("quantized::conv2d", "new", x, packed, 0.5, 10));
            }
        }
    }
}
