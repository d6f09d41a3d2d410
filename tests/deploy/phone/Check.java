import ai.onnxruntime.OrtSession;
import android.graphics.Bitmap;
import java.util.Arrays;
import java.util.Scanner;
import java.util.stream.Collectors;

class Check {
    public static void main(String[] arguments) throws Exception {
        Scanner in = new Scanner(System.in);
        int width = in.nextInt(), height = in.nextInt();
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            int red = in.nextInt(), green = in.nextInt(), blue = in.nextInt(), alpha = in.nextInt();
            pixels[i] = alpha << 24 | red << 16 | green << 8 | blue;
        }
        Bitmap bitmap = Bitmap.createBitmap(pixels, width, height, Bitmap.Config.ARGB_8888);
        Bitmap picture = new Small("small.onnx").translate(bitmap);
        picture.getPixels(pixels, 0, width, 0, 0, picture.getWidth(), picture.getHeight());
        System.out.println(line(OrtSession.shape));
        System.out.println(line(OrtSession.values));
        StringBuilder bytes = new StringBuilder();
        for (int pixel : pixels) {
            for (int shift : new int[] {16, 8, 0, 24}) bytes.append(pixel >> shift & 255).append(' ');
        }
        System.out.println(bytes);
    }

    private static String line(long[] numbers) {
        return Arrays.stream(numbers).mapToObj(Long::toString).collect(Collectors.joining(" "));
    }

    private static String line(float[] numbers) {
        StringBuilder all = new StringBuilder();
        for (float number : numbers) all.append(number).append(' ');
        return all.toString();
    }
}
