package io.espalier.bench.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.List;
import java.util.stream.Stream;

class ModelsTest {
    static Stream<Arguments> networks() {
        return Stream.of(
                Arguments.of("ResNet-18", new ResNet18(), 11_689_512, 20),
                Arguments.of("MobileNetV3-Large", new MobileNetV3(), 5_483_032, 54));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("networks")
    @DisplayName("a network has torchvision's parameters, fuses, and computes in integers")
    void computes(String name, Module network, long parameters, int chains) {
        assertEquals(
                parameters, network.parameters().stream().mapToLong(Tensor::numel).sum(), name);
        Libtorch.seed(1);
        Settled.of(network, 2, 3, 64, 64);
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            Tensor x = Tensors.randn(2, 3, 64, 64);
            Tensor expected = network.call(x);
            assertArrayEquals(new long[] {2, 1000}, Tensors.shape(expected));

            List<List<String>> fused = Quantization.fuse(network, x);
            assertEquals(chains, fused.size(), fused::toString);
            network.qconfig(QConfig.forBackend("x86"));
            Quantization.prepare(network);
            network.call(x);
            Quantization.convert(network);

            Tensor error = network.call(x).sub(expected);
            double ratio = expected.norm().item_double() / error.norm().item_double();
            assertTrue(ratio > 5, () -> "signal to noise: " + ratio);
        }
    }
}
