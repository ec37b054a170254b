package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Dropout;
import io.espalier.nn.ELU;
import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.FloatFunctional;
import io.espalier.nn.GRU;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Hardswish;
import io.espalier.nn.LSTM;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.nn.ReLU;
import io.espalier.nn.ReLU6;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.stream.Stream;

@DisplayName("A quantized layer prints as PyTorch's")
class QuantizedPrintTest {
    private static final String AFFINE = ", qscheme=torch.per_channel_affine)";

    /** With # for scales and zero points, which depend on the data. */
    private static String printed(Module module) {
        return module.toString()
                .replaceAll("scale=(tensor\\(\\[)?[0-9.e-]+", "scale=$1#")
                .replaceAll("zero_point=(tensor\\(\\[)?[0-9]+", "zero_point=$1#");
    }

    private static Arguments of(String expected, long[] shape, Module... chain) {
        return Arguments.of(expected, shape, new Sequential(chain));
    }

    static Stream<Arguments> weighted() {
        long[] line = {2, 4, 9};
        long[] image = {2, 4, 9, 9};
        long[] volume = {2, 4, 5, 5, 5};
        String ranges = "scale=#, zero_point=#";
        return Stream.of(
                of(
                        "QuantizedLinear(in_features=4, out_features=3, " + ranges + AFFINE,
                        new long[] {2, 4},
                        new Linear(4, 3)),
                of(
                        "QuantizedLinearReLU(in_features=4, out_features=3, " + ranges + AFFINE,
                        new long[] {2, 4},
                        new Linear(4, 3),
                        new ReLU()),
                of(
                        "QuantizedConv1d(4, 6, kernel_size=(3,), stride=(1,), " + ranges + ")",
                        line,
                        new Conv1d(4, 6, 3)),
                of(
                        "QuantizedConvReLU1d(4, 6, kernel_size=(3,), stride=(1,), " + ranges + ")",
                        line,
                        new Conv1d(4, 6, 3),
                        new ReLU()),
                of(
                        "QuantizedConv2d(4, 6, kernel_size=(3, 3), stride=(2, 2), "
                                + ranges
                                + ", padding=(1, 1), dilation=(2, 2), groups=2, bias=False)",
                        image,
                        new Conv2d(
                                4,
                                6,
                                3,
                                o -> o.stride(2).padding(1).dilation(2).groups(2).bias(false))),
                of(
                        "QuantizedConvReLU2d(4, 6, kernel_size=(3, 3), stride=(1, 1), "
                                + ranges
                                + ")",
                        image,
                        new Conv2d(4, 6, 3, o -> o.bias(false)),
                        new BatchNorm2d(6),
                        new ReLU()),
                of(
                        "QuantizedConv3d(4, 6, kernel_size=(3, 3, 3), stride=(1, 1, 1), "
                                + ranges
                                + ")",
                        volume,
                        new Conv3d(4, 6, 3)),
                of(
                        "QuantizedConvReLU3d(4, 6, kernel_size=(3, 3, 3), stride=(1, 1, 1), "
                                + ranges
                                + ")",
                        volume,
                        new Conv3d(4, 6, 3),
                        new ReLU()),
                of(
                        "QuantizedConvTranspose1d(4, 6, kernel_size=(3,), stride=(1,), "
                                + ranges
                                + ")",
                        line,
                        new ConvTranspose1d(4, 6, 3)),
                of(
                        "QuantizedConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(2, 2), "
                                + ranges
                                + ", padding=(1, 1), output_padding=(1, 1))",
                        image,
                        new ConvTranspose2d(4, 6, 3, o -> o.stride(2).padding(1).outputPadding(1))),
                of(
                        "QuantizedConvTranspose3d(4, 6, kernel_size=(3, 3, 3), stride=(1, 1, 1), "
                                + ranges
                                + ")",
                        volume,
                        new ConvTranspose3d(4, 6, 3)));
    }

    static Stream<Arguments> unweighted() {
        long[] image = {2, 4, 9, 9};
        return Stream.of(
                of("QuantizedReLU6()", image, new ReLU6()),
                of("QuantizedDropout(p=0.3, inplace=False)", image, new Dropout(0.3)),
                of("QuantizedHardswish()", image, new Hardswish()),
                of("QuantizedLeakyReLU(negative_slope=0.2)", image, new LeakyReLU(0.2)),
                of("QuantizedELU(alpha=0.5)", image, new ELU(0.5)),
                of("QuantizedPReLU()", image, new PReLU()),
                of("Sigmoid()", image, new Sigmoid()),
                of("QuantizedSoftmax(dim=1)", image, new Softmax(1)),
                of(
                        "QuantizedLayerNorm((9, 9), eps=1e-05, elementwise_affine=True)",
                        image,
                        new LayerNorm(new long[] {9, 9}, o -> o)),
                of("QuantizedGroupNorm(2, 4, eps=1e-05, affine=True)", image, new GroupNorm(2, 4)),
                of(
                        "QuantizedBatchNorm2d(4, eps=0.001, momentum=0.1, affine=True, bias=True,"
                                + " track_running_stats=True)",
                        image,
                        new BatchNorm2d(4, o -> o.eps(0.001).momentum(0.01).affine(false))),
                of(
                        "QuantizedBatchNorm3d(4, eps=1e-05, momentum=0.1, affine=True, bias=True,"
                                + " track_running_stats=True)",
                        new long[] {2, 4, 3, 3, 3},
                        new BatchNorm3d(4)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource({"weighted", "unweighted"})
    @DisplayName("after calibration")
    void calibrated(String expected, long[] shape, Sequential chain) {
        Tensor x = Tensors.randn(shape);
        var model = new Sequential(new QuantStub(), chain, new DeQuantStub());
        model.eval();
        Quantization.fuse(model, x);
        model.qconfig(QConfig.forBackend("fbgemm"));
        Quantization.prepare(model);
        model.call(x);

        Quantization.convert(model);

        assertEquals(
                "Quantize(scale=tensor([#]), zero_point=tensor([#]), dtype=torch.quint8)",
                printed(model.get(0)));
        assertEquals(expected, printed(model.module("1.0")));
        for (int i = 1; i < chain.namedChildren().size(); i++) {
            assertEquals("Identity()", printed(model.module("1." + i)));
        }
        assertEquals("DeQuantize()", printed(model.get(2)));
    }

    @Test
    @DisplayName("with one scale for the weight")
    void perTensor() {
        var model = new Sequential(new Linear(4, 3));
        model.eval();
        model.qconfig(QConfig.forBackend("qnnpack"));
        Quantization.prepare(model);
        model.call(Tensors.randn(2, 4));

        Quantization.convert(model);

        assertEquals(
                "QuantizedLinear(in_features=4, out_features=3, scale=#, zero_point=#,"
                        + " qscheme=torch.per_tensor_affine)",
                printed(model.get(0)));
    }

    /** Sums, and a product by a number, which is not observed. */
    private static final class Arithmetic extends Module {
        private final FloatFunctional sum = add("sum", new FloatFunctional());
        private final FloatFunctional product = add("product", new FloatFunctional());

        @Override
        protected Tensor forward(Tensor x) {
            return product.mulScalar(sum.add(x, x), 2);
        }
    }

    @Test
    @DisplayName("where it is arithmetic")
    void arithmetic() {
        var model = new Arithmetic();
        model.eval();
        model.qconfig(QConfig.forBackend("fbgemm"));
        Quantization.prepare(model);
        model.call(Tensors.randn(2, 4));

        Quantization.convert(model);

        assertEquals(
                """
                Arithmetic(
                  (sum): QFunctional(
                    scale=#, zero_point=#
                    (activation_post_process): Identity()
                  )
                  (product): QFunctional(
                    scale=1.0, zero_point=0
                    (activation_post_process): Identity()
                  )
                )\
                """,
                model.toString()
                        .replaceFirst(
                                "scale=0[0-9.]+, zero_point=[0-9]+", "scale=#, zero_point=#"));
    }

    static Stream<Arguments> dynamic() {
        String table = "num_embeddings=5, embedding_dim=8, dtype=torch.";
        String scheme = ", qscheme=torch.per_channel_affine_float_qparams)";
        return Stream.of(
                Arguments.of(
                        "DynamicQuantizedLinear(in_features=4, out_features=3, dtype=torch.qint8,"
                                + " qscheme=torch.per_tensor_affine)",
                        QConfig.dynamic(),
                        new Linear(4, 3)),
                Arguments.of(
                        "DynamicQuantizedLinear(in_features=4, out_features=3, dtype=torch.qint8"
                                + AFFINE,
                        QConfig.dynamicPerChannel(),
                        new Linear(4, 3)),
                Arguments.of(
                        "DynamicQuantizedLinear(in_features=4, out_features=3,"
                                + " dtype=torch.float16)",
                        QConfig.float16(),
                        new Linear(4, 3)),
                Arguments.of("DynamicQuantizedLSTM(4, 3)", QConfig.dynamic(), new LSTM(4, 3)),
                Arguments.of(
                        "DynamicQuantizedLSTM(4, 3, num_layers=2, batch_first=True, dropout=0.1,"
                                + " bidirectional=True)",
                        QConfig.float16(),
                        new LSTM(
                                4,
                                3,
                                o ->
                                        o.layers(2)
                                                .batchFirst(true)
                                                .dropout(0.1)
                                                .bidirectional(true))),
                Arguments.of("DynamicQuantizedGRU(4, 3)", QConfig.dynamic(), new GRU(4, 3)),
                Arguments.of(
                        "QuantizedEmbedding(" + table + "quint8" + scheme,
                        QConfig.weightOnly(),
                        new Embedding(5, 8)),
                Arguments.of(
                        "QuantizedEmbedding(" + table + "quint4x2" + scheme,
                        QConfig.weightOnly4Bit(),
                        new Embedding(5, 8)),
                Arguments.of(
                        "QuantizedEmbeddingBag(" + table + "quint8" + scheme,
                        QConfig.weightOnly(),
                        new EmbeddingBag(5, 8)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("dynamic")
    @DisplayName("without calibration")
    void uncalibrated(String expected, QConfig qconfig, Module layer) {
        var model = new Sequential(layer);

        Quantization.quantizeDynamic(model, qconfig);

        assertEquals("Sequential(\n  (0): " + expected + "\n)", model.toString());
    }
}
