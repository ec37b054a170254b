package io.espalier.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.stream.LongStream;
import java.util.stream.Stream;

/** The expected texts are what PyTorch prints. */
class TensorPrinterTest {
    private static Tensor longs(long from, long to) {
        long[] values = LongStream.range(from, to).toArray();
        return Tensors.of(values, values.length);
    }

    static Stream<Arguments> tensors() {
        float inf = Float.POSITIVE_INFINITY;
        return Stream.of(
                print(Tensors.of(0.5f).squeeze(), "tensor(0.5000)"),
                print(longs(7, 8).squeeze(), "tensor(7)"),
                print(Tensors.of(1, 2, -3), "tensor([ 1.,  2., -3.])"),
                print(Tensors.of(0.5f, -1.25f, 10), "tensor([ 0.5000, -1.2500, 10.0000])"),
                print(Tensors.of(0.12345f, 0.00015f), "tensor([0.1235, 0.0002])"),
                print(Tensors.zeros(3), "tensor([0., 0., 0.])"),
                print(Tensors.of(-0.0f, 0.5f), "tensor([-0.0000, 0.5000])"),
                print(Tensors.of(1, 100_000), "tensor([1.0000e+00, 1.0000e+05])"),
                print(Tensors.of(1e-5f, 1), "tensor([1.0000e-05, 1.0000e+00])"),
                print(Tensors.of(1e-5f), "tensor([1.0000e-05])"),
                print(Tensors.of(2e8f, 0), "tensor([2.0000e+08, 0.0000e+00])"),
                print(Tensors.of(1.5e20f, -1.5e-20f), "tensor([ 1.5000e+20, -1.5000e-20])"),
                print(Tensors.of(Float.NaN, 1), "tensor([nan, 1.])"),
                print(Tensors.of(inf, 1.5f, -inf), "tensor([   inf, 1.5000,   -inf])"),
                print(longs(-2, 3), "tensor([-2, -1,  0,  1,  2])"),
                print(Tensors.of(1, 0).to(ScalarType.Bool), "tensor([ True, False])"),
                print(
                        Tensors.of(1, 2).to(ScalarType.Double),
                        "tensor([1., 2.], dtype=torch.float64)"),
                print(
                        Tensors.of(1, 2.5f).to(ScalarType.BFloat16),
                        "tensor([1.0000, 2.5000], dtype=torch.bfloat16)"),
                print(longs(1, 3).to(ScalarType.Byte), "tensor([1, 2], dtype=torch.uint8)"),
                print(Tensors.zeros(0), "tensor([])"),
                print(Tensors.zeros(2, 0), "tensor([], size=(2, 0))"),
                print(Tensors.zeros(ScalarType.Long, 0), "tensor([], dtype=torch.int64)"),
                print(
                        Tensors.zeros(ScalarType.Bool, 0, 1),
                        "tensor([], size=(0, 1), dtype=torch.bool)"),
                print(
                        Tensors.of(new float[] {1, 2, 3, 4}, 2, 2),
                        "tensor([[1., 2.],\n        [3., 4.]])"),
                print(
                        Tensors.of(new float[] {1, 2, 3, 4}, 2, 1, 2),
                        "tensor([[[1., 2.]],\n\n        [[3., 4.]]])"),
                print(
                        longs(0, 30).to(ScalarType.Float),
                        """
                        tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,
                                14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,
                                28., 29.])\
                        """),
                print(longs(0, 1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
                print(
                        longs(0, 1200).view(4, 300),
                        """
                        tensor([[   0,    1,    2,  ...,  297,  298,  299],
                                [ 300,  301,  302,  ...,  597,  598,  599],
                                [ 600,  601,  602,  ...,  897,  898,  899],
                                [ 900,  901,  902,  ..., 1197, 1198, 1199]])\
                        """),
                print(
                        longs(0, 2000).view(1000, 2),
                        """
                        tensor([[   0,    1],
                                [   2,    3],
                                [   4,    5],
                                ...,
                                [1994, 1995],
                                [1996, 1997],
                                [1998, 1999]])\
                        """),
                print(
                        torch.quantize_per_tensor(
                                Tensors.of(-1, 0, 1, 2), 0.1, 10, ScalarType.QUInt8),
                        """
                        tensor([-1.,  0.,  1.,  2.], size=(4,), dtype=torch.quint8,
                               quantization_scheme=torch.per_tensor_affine, scale=0.1, zero_point=10)\
                        """),
                print(
                        Tensors.of(1, 2).set_requires_grad(true),
                        "tensor([1., 2.], requires_grad=True)"),
                print(
                        Tensors.of(1, 2).set_requires_grad(true).add(Tensors.of(1, 1)),
                        "tensor([2., 3.], grad_fn=<AddBackward0>)"));
    }

    private static Arguments print(Tensor tensor, String expected) {
        return Arguments.of(tensor, expected);
    }

    @ParameterizedTest(name = "{1}")
    @DisplayName("prints what PyTorch prints")
    @MethodSource("tensors")
    void prints(Tensor tensor, String expected) {
        assertEquals(expected, Tensors.toString(tensor));
    }

    @Test
    @DisplayName("a large tensor is read at its edges only")
    void large() {
        assertEquals(
                "tensor([1., 1., 1.,  ..., 1., 1., 1.])",
                Tensors.toString(Tensors.ones(1).expand(1L << 40)));
    }
}
