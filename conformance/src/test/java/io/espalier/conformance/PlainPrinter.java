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
                boolean folded = !network.fused().isEmpty();
                boolean whole = folded && network.fused().getFirst().size() == 3;
                yield """
                Sequential(
                  %s
                  (1): %s
                  (2): %s
                  %s
                  (4): %s
                  (5): %s
                  (6): AdaptiveAvgPool2d(output_size=1)
                  (7): Flatten(start_dim=1, end_dim=-1)
                  %s
                )\
                """
                        .formatted(
                                child(network, steps, "0", perChannel),
                                folded ? "Identity()" : norm(network, "0"),
                                whole ? "Identity()" : "ReLU()",
                                child(network, steps, "3", perChannel),
                                folded ? "Identity()" : norm(network, "3"),
                                whole ? "Identity()" : "ReLU()",
                                child(network, steps, "8", perChannel));
            }
        };
    }

    private static String norm(PlainNetwork network, String before) {
        return "QuantizedBatchNorm2d(%d, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
                .formatted(layer(network, "body." + before).bias().length);
    }

    private static PlainLayer layer(PlainNetwork network, String path) {
        PlainLayer layer = network.layers().get(path);
        if (layer == null) {
            throw new IllegalArgumentException(path);
        }
        return layer;
    }

    private static String child(
            PlainNetwork network, Map<String, Step> steps, String name, boolean perChannel) {
        String path = "body." + name;
        PlainLayer layer = layer(network, path);
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
