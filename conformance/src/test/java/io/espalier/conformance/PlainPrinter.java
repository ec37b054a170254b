package io.espalier.conformance;

import io.espalier.conformance.PlainRounding.Step;

import java.util.Map;

/** How PyTorch prints the networks of the cases when they are converted. */
final class PlainPrinter {
    private PlainPrinter() {}

    static String printed(PlainNetwork network, Map<String, Step> steps, boolean perChannel) {
        return """
        Net(
          (quant): Quantize(scale=tensor([0.]), zero_point=tensor([%d]), dtype=torch.quint8)
          (body): %s
          (dequant): DeQuantize()
        )\
        """
                .formatted(
                        zeroPoint(steps, "quant"),
                        body(network, steps, perChannel).indent(2).strip());
    }

    private static String body(PlainNetwork network, Map<String, Step> steps, boolean perChannel) {
        return switch (network.name()) {
            case "linear" -> "Sequential(\n  " + child(network, steps, "0", perChannel) + "\n)";
            case "linear_relu" ->
                    """
                    Sequential(
                      %s
                      (1): %s
                      %s
                    )\
                    """
                            .formatted(
                                    child(network, steps, "0", perChannel),
                                    network.fused().isEmpty() ? "ReLU()" : "Identity()",
                                    child(network, steps, "2", perChannel));
            case "residual_add" ->
                    """
                    Res(
                      %s
                      %s
                      (add): QFunctional(
                        scale=0., zero_point=%d
                        (activation_post_process): Identity()
                      )
                    )\
                    """
                            .formatted(
                                    child(network, steps, "a", perChannel),
                                    child(network, steps, "b", perChannel),
                                    zeroPoint(steps, "body.add"));
            default -> {
                boolean fused = network.fused().getFirst().size() == 3;
                yield """
                Sequential(
                  %1$s
                  (1): Identity()
                  (2): %4$s
                  %2$s
                  (4): Identity()
                  (5): %4$s
                  (6): AdaptiveAvgPool2d(output_size=1)
                  (7): Flatten(start_dim=1, end_dim=-1)
                  %3$s
                )\
                """
                        .formatted(
                                child(network, steps, "0", perChannel),
                                child(network, steps, "3", perChannel),
                                child(network, steps, "8", perChannel),
                                fused ? "Identity()" : "ReLU()");
            }
        };
    }

    private static String child(
            PlainNetwork network, Map<String, Step> steps, String name, boolean perChannel) {
        String path = "body." + name;
        PlainLayer layer = network.layers().get(path);
        if (layer == null) {
            throw new IllegalArgumentException(path);
        }
        long[] shape = layer.weightShape();
        String relu = layer.relu() ? "ReLU" : "";
        if (shape.length == 2) {
            return "(%s): QuantizedLinear%s(in_features=%d, out_features=%d, scale=0., zero_point=%d, qscheme=torch.per_%s_affine)"
                    .formatted(
                            name,
                            relu,
                            shape[1],
                            shape[0],
                            zeroPoint(steps, path),
                            perChannel ? "channel" : "tensor");
        }
        int padding = layer.convolution().padding();
        return "(%s): QuantizedConv%s2d(%d, %d, kernel_size=%s, stride=%s, scale=0., zero_point=%d%s%s)"
                .formatted(
                        name,
                        relu,
                        shape[1],
                        shape[0],
                        PlainConvolution.tuple(shape[2], 2),
                        PlainConvolution.tuple(layer.convolution().stride(), 2),
                        zeroPoint(steps, path),
                        padding == 0 ? "" : ", padding=" + PlainConvolution.tuple(padding, 2),
                        network.hasBias(path) ? "" : ", bias=False");
    }

    private static int zeroPoint(Map<String, Step> steps, String path) {
        return PlainNetwork.step(steps, path).zeroPoint();
    }
}
