package io.espalier.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.LinkedHashMap;
import java.util.stream.Stream;

class PrintingTest {
    static Stream<Arguments> layers() {
        return Stream.of(
                print(new Linear(3, 4), "Linear(in_features=3, out_features=4, bias=True)"),
                print(
                        new Linear(3, 4, o -> o.bias(false)),
                        "Linear(in_features=3, out_features=4, bias=False)"),
                print(new Conv1d(3, 8, 3), "Conv1d(3, 8, kernel_size=(3,), stride=(1,))"),
                print(
                        new Conv1d(3, 8, 3, o -> o.padding(2).dilation(2)),
                        "Conv1d(3, 8, kernel_size=(3,), stride=(1,), padding=(2,), dilation=(2,))"),
                print(
                        new Conv2d(3, 8, 3, o -> o.padding(1)),
                        "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"),
                print(
                        new Conv2d(
                                4,
                                8,
                                new long[] {3, 5},
                                o ->
                                        o.stride(2, 1)
                                                .padding(1, 2)
                                                .dilation(1, 2)
                                                .groups(2)
                                                .bias(false)
                                                .paddingMode(PaddingMode.REFLECT)),
                        "Conv2d(4, 8, kernel_size=(3, 5), stride=(2, 1), padding=(1, 2),"
                                + " dilation=(1, 2), groups=2, bias=False, padding_mode=reflect)"),
                print(
                        new Conv3d(2, 3, 3, o -> o.padding(1)),
                        "Conv3d(2, 3, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1))"),
                print(
                        new ConvTranspose1d(2, 3, 4),
                        "ConvTranspose1d(2, 3, kernel_size=(4,), stride=(1,))"),
                print(
                        new ConvTranspose2d(2, 3, 4, o -> o.stride(2).padding(1).outputPadding(1)),
                        "ConvTranspose2d(2, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1),"
                                + " output_padding=(1, 1))"),
                print(
                        new ConvTranspose3d(2, 3, 2),
                        "ConvTranspose3d(2, 3, kernel_size=(2, 2, 2), stride=(1, 1, 1))"),
                print(
                        new BatchNorm1d(8),
                        "BatchNorm1d(8, eps=1e-05, momentum=0.1, affine=True, bias=True,"
                                + " track_running_stats=True)"),
                print(
                        new BatchNorm2d(8, o -> o.eps(1e-3).momentum(0.01).affine(false)),
                        "BatchNorm2d(8, eps=0.001, momentum=0.01, affine=False, bias=False,"
                                + " track_running_stats=True)"),
                print(
                        new BatchNorm3d(8, o -> o.trackRunningStats(false)),
                        "BatchNorm3d(8, eps=1e-05, momentum=0.1, affine=True, bias=True,"
                                + " track_running_stats=False)"),
                print(new LayerNorm(10), "LayerNorm((10,), eps=1e-05, elementwise_affine=True)"),
                print(
                        new LayerNorm(
                                new long[] {3, 5}, o -> o.eps(1e-12).elementwiseAffine(false)),
                        "LayerNorm((3, 5), eps=1e-12, elementwise_affine=False)"),
                print(new GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True)"),
                print(new Embedding(10, 3), "Embedding(10, 3)"),
                print(new Embedding(10, 3, -1), "Embedding(10, 3, padding_idx=9)"),
                print(new LSTM(3, 4), "LSTM(3, 4)"),
                print(
                        new LSTM(
                                3,
                                4,
                                o ->
                                        o.layers(2)
                                                .bias(false)
                                                .batchFirst(true)
                                                .dropout(0.25)
                                                .bidirectional(true)),
                        "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.25,"
                                + " bidirectional=True)"),
                print(new GRU(3, 4, o -> o.layers(2)), "GRU(3, 4, num_layers=2)"),
                print(
                        new MultiheadAttention(4, 2),
                        """
                        MultiheadAttention(
                          (out_proj): NonDynamicallyQuantizableLinear(in_features=4, out_features=4, bias=True)
                        )\
                        """),
                print(new ReLU(), "ReLU()"),
                print(new ReLU6(), "ReLU6()"),
                print(new LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
                print(new LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
                print(new PReLU(), "PReLU(num_parameters=1)"),
                print(new ELU(), "ELU(alpha=1.0)"),
                print(new GELU(), "GELU(approximate='none')"),
                print(new GELU(true), "GELU(approximate='tanh')"),
                print(new SiLU(), "SiLU()"),
                print(new Hardswish(), "Hardswish()"),
                print(new Hardsigmoid(), "Hardsigmoid()"),
                print(new Sigmoid(), "Sigmoid()"),
                print(new Tanh(), "Tanh()"),
                print(new Softmax(-1), "Softmax(dim=-1)"),
                print(new LogSoftmax(1), "LogSoftmax(dim=1)"),
                print(new Dropout(), "Dropout(p=0.5, inplace=False)"),
                print(
                        new MaxPool1d(2),
                        "MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1,"
                                + " ceil_mode=False)"),
                print(
                        new MaxPool2d(new long[] {3, 2}, o -> o.padding(1).ceilMode(true)),
                        "MaxPool2d(kernel_size=(3, 2), stride=(3, 2), padding=1, dilation=1,"
                                + " ceil_mode=True)"),
                print(new AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
                print(
                        new AvgPool2d(3, o -> o.stride(1)),
                        "AvgPool2d(kernel_size=3, stride=1, padding=0)"),
                print(new AdaptiveAvgPool1d(3), "AdaptiveAvgPool1d(output_size=3)"),
                print(new AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=1)"),
                print(new AdaptiveAvgPool2d(2, 3), "AdaptiveAvgPool2d(output_size=(2, 3))"),
                print(Upsample.byFactor(2), "Upsample(scale_factor=2.0, mode='nearest')"),
                print(
                        Upsample.byFactor(
                                new double[] {2, 1.5}, o -> o.mode(Upsample.Mode.BILINEAR)),
                        "Upsample(scale_factor=(2.0, 1.5), mode='bilinear')"),
                print(Upsample.toSize(8, 6), "Upsample(size=(8, 6), mode='nearest')"),
                print(new Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
                print(new Identity(), "Identity()"),
                print(
                        new FloatFunctional(),
                        "FloatFunctional(\n  (activation_post_process): Identity()\n)"),
                print(new Sequential(), "Sequential()"),
                print(new ModuleList<>(), "ModuleList()"));
    }

    private static Arguments print(Module module, String expected) {
        return Arguments.of(module, expected);
    }

    @ParameterizedTest(name = "{1}")
    @DisplayName("every layer prints as PyTorch's repr")
    @MethodSource("layers")
    void printsLayer(Module layer, String expected) {
        assertEquals(expected, layer.toString());
    }

    @Test
    @DisplayName("a list shows neighbours that print alike as one, a sequence shows each")
    void collapses() {
        assertEquals(
                """
                ModuleList(
                  (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)
                  (2): ReLU()
                  (3-4): 2 x Sequential(
                    (0): ReLU()
                    (1): ReLU()
                  )
                )\
                """,
                new ModuleList<Module>(
                                new Linear(2, 2),
                                new Linear(2, 2),
                                new ReLU(),
                                new Sequential(new ReLU(), new ReLU()),
                                new Sequential(new ReLU(), new ReLU()))
                        .toString());
    }

    @Test
    @DisplayName("named children of a sequence print under their names")
    void named() {
        var modules = new LinkedHashMap<String, Module>();
        modules.put("conv", new Conv1d(1, 1, 1));
        modules.put("act", new ReLU());
        assertEquals(
                """
                Sequential(
                  (conv): Conv1d(1, 1, kernel_size=(1,), stride=(1,))
                  (act): ReLU()
                )\
                """,
                Sequential.named(modules).toString());
    }

    @Test
    @DisplayName("a module's own words come before its children, each line indented")
    void extraLines() {
        var module =
                new Module() {
                    {
                        add("act", new ReLU());
                    }

                    @Override
                    protected Tensor forward(Tensor x) {
                        return x;
                    }

                    @Override
                    protected String typeName() {
                        return "Net";
                    }

                    @Override
                    protected String extraRepr() {
                        return "one\ntwo";
                    }
                };
        assertEquals("Net(\n  one\n  two\n  (act): ReLU()\n)", module.toString());
    }

    @ParameterizedTest
    @DisplayName("numbers print as Python's")
    @CsvSource({
        "1e-5, 1e-05",
        "1e-4, 0.0001",
        "0.1, 0.1",
        "1, 1.0",
        "100, 100.0",
        "1.5e-7, 1.5e-07",
        "123456789012345680, 1.2345678901234568e+17",
        "1e15, 1000000000000000.0",
        "1e16, 1e+16",
        "1e-100, 1e-100",
        "-2.5e-10, -2.5e-10",
        "-0.0, -0.0",
        "NaN, nan",
        "-Infinity, -inf"
    })
    void numbers(double value, String expected) {
        assertEquals(expected, Repr.of(value));
    }
}
