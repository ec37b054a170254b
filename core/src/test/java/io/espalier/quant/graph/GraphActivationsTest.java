package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.decibels;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.SiLU;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.List;
import java.util.stream.Stream;

@DisplayName("A quantized graph with every activation after every kind of layer")
class GraphActivationsTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(12);
    }

    static Stream<Arguments> chains() {
        List<Module> activations =
                List.of(new ReLU(), new ReLU6(), new Hardswish(), new SiLU(), new Sequential());
        return Stream.of("x86", "onednn", "fbgemm", "qnnpack")
                .flatMap(engine ->
                        activations.stream()
                                .flatMap(activation ->
                                        Stream.of(
                                                Arguments.of(engine, activation, 0),
                                                Arguments.of(engine, activation, 1),
                                                Arguments.of(engine, activation, 2),
                                                Arguments.of(engine, activation, 3),
                                                Arguments.of(engine, activation, -2))));
    }

    /** A linear layer for 0, a convolution of so many dimensions, or a transposed one. */
    private static Module layer(int dimensions) {
        return switch (dimensions) {
            case 0 -> new Linear(6, 6);
            case 1 -> new Conv1d(6, 6, 3, with -> with.padding(1));
            case 2 -> new Conv2d(6, 6, 3, with -> with.padding(1));
            case 3 -> new Conv3d(6, 6, 3, with -> with.padding(1));
            default -> new ConvTranspose2d(6, 6, 3, with -> with.padding(1));
        };
    }

    private static Tensor input(int dimensions) {
        return switch (dimensions) {
            case 0 -> Tensors.randn(9, 6);
            case 1 -> Tensors.randn(2, 6, 15);
            case 3 -> Tensors.randn(2, 6, 5, 4, 6);
            default -> Tensors.randn(2, 6, 7, 8);
        };
    }

    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("chains")
    @DisplayName("is close to the float one, between integers and where floats follow")
    void close(String engine, Module activation, int dimensions) {
        Module model =
                new Sequential(
                        layer(dimensions), activation.copy(), layer(dimensions), activation.copy());
        model.eval();
        model.qconfig(QConfig.forBackend(engine));
        Tensor x = input(dimensions);

        Module quantized = Quantization.quantize(model, x, List.of(x));

        double decibels = decibels(model.call(x), quantized.call(x));
        assertTrue(decibels > 22, decibels + " " + quantized);
    }
}
