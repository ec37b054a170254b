package io.espalier.onnx.zoo;

import io.espalier.onnx.model.OnnxModel;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** Small networks of many architectures, as PyTorch's exporters write them. */
final class Zoo {
    private static final Map<String, Function<Exporter, OnnxModel>> MODELS = new LinkedHashMap<>();

    static {
        MODELS.put("AlexNet", e -> new Classifiers(e).alexNet());
        MODELS.put("VGG", e -> new Classifiers(e).vgg());
        MODELS.put("ResNet", e -> new Classifiers(e).resNet(1, false));
        MODELS.put("ResNeXt", e -> new Classifiers(e).resNet(4, false));
        MODELS.put("RegNet", e -> new Classifiers(e).resNet(2, true));
        MODELS.put("DenseNet", e -> new Classifiers(e).denseNet());
        MODELS.put("SqueezeNet", e -> new Classifiers(e).squeezeNet());
        MODELS.put("Inception", e -> new Classifiers(e).inception());
        MODELS.put("ShuffleNet", e -> new Classifiers(e).shuffleNet());
        MODELS.put("MobileNetV1", e -> new Classifiers(e).mobileNetV1());
        MODELS.put("MobileNetV2", e -> new Classifiers(e).mobileNetV2());
        MODELS.put("MobileNetV3", e -> new Classifiers(e).mobileNetV3());
        MODELS.put("EfficientNet", e -> new Classifiers(e).efficientNet());
        MODELS.put("GhostNet", e -> new Classifiers(e).ghostNet());
        MODELS.put("ConvNeXt", e -> new Classifiers(e).convNeXt());
        MODELS.put("PoolFormer", e -> new Classifiers(e).poolFormer());
        MODELS.put("HRNet", e -> new Classifiers(e).hrNet());
        MODELS.put("UNet", e -> new Shapers(e).uNet());
        MODELS.put("pyramid", e -> new Shapers(e).pyramid());
        MODELS.put("detector", e -> new Shapers(e).detector());
        MODELS.put("YOLO", e -> new Shapers(e).yolo());
        MODELS.put("CRNN, LSTM", e -> new Shapers(e).lineReader("LSTM"));
        MODELS.put("CRNN, GRU", e -> new Shapers(e).lineReader("GRU"));
        MODELS.put("sound", e -> new Shapers(e).sound());
        MODELS.put("video", e -> new Shapers(e).video());
        MODELS.put("autoencoder", e -> new Shapers(e).autoencoder());
        MODELS.put("BERT", e -> new Transformers(e).bert(true));
        MODELS.put("DistilBERT", e -> new Transformers(e).bert(false));
        MODELS.put("ALBERT", e -> new Transformers(e).albert());
        MODELS.put("GPT-2", e -> new Transformers(e).gpt2());
        MODELS.put("T5", e -> new Transformers(e).t5());
        MODELS.put("Llama", e -> new Transformers(e).llama());
        MODELS.put("ViT", e -> new Transformers(e).vit());
        MODELS.put("Swin", e -> new Transformers(e).swin());
        MODELS.put("Mixer", e -> new Transformers(e).mixer());
        MODELS.put("Whisper", e -> new Transformers(e).whisper());
        MODELS.put("CLIP", e -> new Transformers(e).clip());
        MODELS.put("recommender", e -> new Oddities(e).recommender());
        MODELS.put("tabular", e -> new Oddities(e).tabular());
        MODELS.put("labels", e -> new Oddities(e).labels());
        MODELS.put("doubles", e -> new Oddities(e).doubles());
        MODELS.put("halves", e -> new Oddities(e).halves());
        MODELS.put("all halves", e -> new Oddities(e).allHalves());
        MODELS.put("plain", e -> new Oddities(e).plain());
        MODELS.put("passed", e -> new Oddities(e).passed());
        MODELS.put("empty", e -> new Oddities(e).empty());
        MODELS.put("branches", e -> new Oddities(e).branches());
        MODELS.put("loop", e -> new Oddities(e).loop());
        MODELS.put("translator", e -> new Oddities(e).translator());
        MODELS.put("leftovers", e -> new Oddities(e).leftovers());
        MODELS.put("sequences", e -> new Oddities(e).sequences());
        MODELS.put("half picture", e -> new Oddities(e).halfPicture());
        MODELS.put("functions", e -> new Oddities(e).functions());
        MODELS.put("shared", e -> new Oddities(e).shared());
        MODELS.put("recurrent", e -> new Oddities(e).recurrentLayers());
        MODELS.put("scatters", e -> new Oddities(e).scatters());
    }

    private Zoo() {}

    /** The models by name. */
    static Map<String, Function<Exporter, OnnxModel>> models() {
        return MODELS;
    }
}
