package io.espalier.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Random;

@DisplayName("The maximum under a window of quantized pictures")
class QuantizedMaxPoolTest {
    private static final long[] ONE = {1, 1};

    @BeforeEach
    void seed() {
        Libtorch.seed(3);
    }

    private static Tensor pictures(ScalarType type, long... shape) {
        return torch.quantize_per_tensor(Tensors.randn(shape), 0.02, 110, type)
                .contiguous(MemoryFormat.ChannelsLast);
    }

    private static void assertAsLibtorch(Tensor x, long[] kernel, long[] stride, long[] padding) {
        Tensor expected = torch.max_pool2d(x, kernel, stride, padding, ONE, false);

        Tensor found = new QuantizedMaxPool(kernel, stride, padding, ONE, false).of(x);

        assertNotNull(found);
        assertTrue(found.equal(expected));
        assertEquals(expected.q_scale(), found.q_scale());
        assertEquals(expected.q_zero_point(), found.q_zero_point());
        assertTrue(found.is_contiguous(MemoryFormat.ChannelsLast));
    }

    @Test
    @DisplayName("is libtorch's for windows, strides, paddings and extents of any size")
    void asLibtorch() {
        var random = new Random(4);
        for (int i = 0; i < 40; i++) {
            try (var scope = new PointerScope()) {
                long[] kernel = {2 + random.nextInt(3), 2 + random.nextInt(3)};
                long[] stride = {1 + random.nextInt(3), 1 + random.nextInt(3)};
                long[] padding = {
                    random.nextInt((int) kernel[0] / 2 + 1), random.nextInt((int) kernel[1] / 2 + 1)
                };
                Tensor x =
                        pictures(
                                ScalarType.QUInt8,
                                3,
                                2 + random.nextInt(30),
                                80 + random.nextInt(9),
                                90 + random.nextInt(9));
                assertAsLibtorch(x, kernel, stride, padding);
            }
        }
    }

    @Test
    @DisplayName("is that of a part of a batch where it lies in memory")
    void partOfBatch() {
        Tensor x = pictures(ScalarType.QUInt8, 9, 13, 40, 40).narrow(0, 2, 5);

        assertAsLibtorch(x, new long[] {2, 2}, new long[] {2, 2}, new long[] {0, 0});
    }

    @Test
    @DisplayName("is left to libtorch for other types, layouts, widths and windows")
    void leftToLibtorch() {
        long[] two = {2, 2};
        var pool = new QuantizedMaxPool(two, new long[0], new long[2], ONE, false);
        Tensor x = pictures(ScalarType.QUInt8, 4, 6, 60, 60);

        assertNotNull(pool.of(x));
        assertNull(pool.of(x.contiguous()));
        assertNull(pool.of(x.dequantize()));
        assertNull(pool.of(x.narrow(0, 0, 1)));
        assertNull(pool.of(x.slice(3, new LongOptional(), new LongOptional(), 2)));
        assertNull(pool.of(pictures(ScalarType.QInt8, 4, 6, 60, 60)));
        assertNull(pool.of(pictures(ScalarType.QUInt8, 4, 64, 60, 60)));
        assertNull(pool.of(pictures(ScalarType.QUInt8, 400, 6, 60, 1)));
        assertNull(new QuantizedMaxPool(two, two, two, ONE, false).of(x));
        assertNull(new QuantizedMaxPool(two, two, new long[2], two, false).of(x));
        assertNull(new QuantizedMaxPool(two, two, new long[2], ONE, true).of(x));
    }

    @Test
    @DisplayName("is the same on two threads")
    void onTwoThreads() {
        Tensor x = pictures(ScalarType.QUInt8, 40, 7, 101, 103);
        int threads = Libtorch.threads();
        Libtorch.threads(2);
        try {
            assertAsLibtorch(x, new long[] {3, 3}, new long[] {2, 2}, new long[] {1, 1});
        } finally {
            Libtorch.threads(threads);
        }
    }
}
